import * as z from "zod";

/** Which SQS queue to read, and how. */
export interface SqsOptions {
  /** The queue's URL. Its region is the default for `region`. */
  readonly queueUrl: string;
  /**
   * How messages become rows. `raw`: one row with the message's own fields, see docs/sqs.md.
   * `json`: each body is a JSON object with the columns of `schema`. Default `raw`.
   */
  readonly format?: "raw" | "json";
  /**
   * Spark DDL of the rows, such as `"id bigint, time timestamp"`. Only with `json`; the pipeline's
   * `.schema()` can be used instead.
   */
  readonly schema?: string;
  /** Maximum number of messages in a batch. Default 10000. */
  readonly maxMessages?: number;
  /** Seconds after which a batch receives no more messages. Default 30. */
  readonly maxReceiveSeconds?: number;
  /** Seconds to wait for messages if the queue is empty, 1 to 20. Default 1. */
  readonly waitTimeSeconds?: number;
  /**
   * Seconds during which other consumers do not see received messages. It must be longer than a
   * batch takes. Default 900.
   */
  readonly visibilityTimeoutSeconds?: number;
  /**
   * Seconds for which the ids of written messages are kept, so that a duplicate delivery is
   * recognized. Default 3600.
   */
  readonly dedupeWindowSeconds?: number;
  /** Default: the region that the AWS SDK finds. */
  readonly region?: string;
  /** URL of another endpoint, such as a VPC endpoint. Default: the one that the AWS SDK finds. */
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

/** The options with their defaults. */
export type ParsedOptions = z.output<typeof OPTIONS>;
