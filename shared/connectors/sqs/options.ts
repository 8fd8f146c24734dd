import * as z from "zod";

/** What to read of a queue in SQS. */
export interface SqsOptions {
  /** The queue's URL; its region is the default of `region`. */
  readonly queueUrl: string;
  /**
   * `raw`: the messages as they are, see docs/sqs.md; `json`: each body is a JSON object, whose
   * fields are the columns of `schema`. Default: `raw`.
   */
  readonly format?: "raw" | "json";
  /**
   * Spark DDL of the rows: `"id bigint, time timestamp"`. Only with `json`; `.schema()` of the
   * pipeline will do, too.
   */
  readonly schema?: string;
  /** Messages of one batch at most. Default 10,000. */
  readonly maxMessages?: number;
  /** Seconds after which a batch takes no more messages. Default 30. */
  readonly maxReceiveSeconds?: number;
  /** Seconds that an empty queue is waited for, 1 to 20. Default 1. */
  readonly waitTimeSeconds?: number;
  /**
   * Seconds for which what was received is hidden from others: longer than a batch takes. Default
   * 900.
   */
  readonly visibilityTimeoutSeconds?: number;
  /**
   * Seconds for which a message that was written is known again, should the queue deliver it once
   * more. Default 3600.
   */
  readonly dedupeWindowSeconds?: number;
  /** Default: as the AWS SDK finds it. */
  readonly region?: string;
  /** URL of another endpoint, such as a VPC's. Default: as the AWS SDK finds it. */
  readonly endpoint?: string;
}

export const OPTIONS = z
  .strictObject({
    queueUrl: z.url({ protocol: /^https?$/ }),
    format: z.enum(["raw", "json"]).default("raw"),
    schema: z.string().min(1).optional(),
    maxMessages: z.int().positive().max(100_000).default(10_000),
    maxReceiveSeconds: z.number().positive().default(30),
    waitTimeSeconds: z.int().min(1).max(20).default(1),
    visibilityTimeoutSeconds: z.int().min(1).max(43_200).default(900),
    dedupeWindowSeconds: z.number().nonnegative().default(3600),
    region: z.string().min(1).optional(),
    endpoint: z.url({ protocol: /^https?$/ }).optional(),
  })
  .refine(({ format, schema }) => format === "json" || schema === undefined, {
    path: ["schema"],
    message: "is only for the format json: raw has columns of its own",
  });

/** Options with their defaults. */
export type ParsedOptions = z.output<typeof OPTIONS>;
