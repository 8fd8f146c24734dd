import * as z from "zod";

/** What to read of a stream in Kinesis Data Streams. */
export interface KinesisOptions {
  /** The stream's name. Either this or `streamArn`. */
  readonly streamName?: string;
  /** The stream's ARN: its region is the default of `region`. */
  readonly streamArn?: string;
  /**
   * Where a pipeline that never ran begins: with all that the stream holds, with what comes from
   * now on, or with what came at a time, ISO 8601. Default: `TRIM_HORIZON`.
   */
  readonly startingPosition?: "TRIM_HORIZON" | "LATEST" | { readonly timestamp: string };
  /**
   * `raw`: the records as they are, see docs/kinesis.md; `json`: each record's data is a JSON
   * object, whose fields are the columns of `schema`. Default: `raw`.
   */
  readonly format?: "raw" | "json";
  /**
   * Spark DDL of the rows: `"id bigint, time timestamp"`. Only with `json`; `.schema()` of the
   * pipeline will do, too.
   */
  readonly schema?: string;
  /**
   * Records of one shard in one batch: exact up to 1,000, above that about so many. Default
   * 100,000.
   */
  readonly maxRecordsPerShard?: number;
  /**
   * Whether records that expired before they were read are an error (`KINESIS_DATA_EXPIRED`), or
   * passed over. Default: true.
   */
  readonly failOnDataLoss?: boolean;
  /** Default: as the AWS SDK finds it. */
  readonly region?: string;
  /** URL of another endpoint, such as a VPC's. Default: as the AWS SDK finds it. */
  readonly endpoint?: string;
}

export const OPTIONS = z
  .strictObject({
    streamName: z.string().min(1).optional(),
    streamArn: z
      .string()
      .regex(/^arn:[^:]+:kinesis:[^:]+:\d+:stream\/.+$/, "must be the ARN of a stream")
      .optional(),
    startingPosition: z
      .union([
        z.enum(["TRIM_HORIZON", "LATEST"]),
        z.strictObject({ timestamp: z.iso.datetime({ offset: true }) }),
      ])
      .default("TRIM_HORIZON"),
    format: z.enum(["raw", "json"]).default("raw"),
    schema: z.string().min(1).optional(),
    maxRecordsPerShard: z.int().positive().default(100_000),
    failOnDataLoss: z.boolean().default(true),
    region: z.string().min(1).optional(),
    endpoint: z.url({ protocol: /^https?$/ }).optional(),
  })
  .refine(({ streamName, streamArn }) => (streamName === undefined) !== (streamArn === undefined), {
    path: ["streamName"],
    message: "must be set, or streamArn in its place",
  })
  .refine(({ format, schema }) => format === "json" || schema === undefined, {
    path: ["schema"],
    message: "is only for the format json: raw has columns of its own",
  });

/** Options with their defaults. */
export type ParsedOptions = z.output<typeof OPTIONS>;
