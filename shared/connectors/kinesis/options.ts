import * as z from "zod";
import { jsonColumns } from "../kit/json-columns.ts";
import type { JsonPath } from "../kit/json-path.ts";

/** Which stream of Kinesis Data Streams to read, and how. */
export interface KinesisOptions {
  /** The stream's name. Set either this or `streamArn`. */
  readonly streamName?: string;
  /** The stream's ARN. Its region is the default for `region`. */
  readonly streamArn?: string;
  /**
   * Where a new pipeline starts: with the oldest record of the stream (`TRIM_HORIZON`), with
   * records that arrive from now on (`LATEST`), or with records that arrived at or after a time,
   * ISO 8601. Default `TRIM_HORIZON`.
   */
  readonly startingPosition?:
    | "TRIM_HORIZON"
    | "LATEST"
    | {
        /** Records that arrived before this time are not read, ISO 8601. */
        readonly timestamp: string;
      };
  /**
   * How records become rows. `raw`: one row with the record's own fields, see docs/kinesis.md.
   * `json`: each record's data is a JSON object with the columns of `schema`. Default `raw`.
   */
  readonly format?: "raw" | "json";
  /**
   * Spark DDL of the rows, such as `"id bigint, time timestamp"`. Only with `json`; the pipeline's
   * `.schema()` can be used instead.
   */
  readonly schema?: string;
  /**
   * Paths of columns in a record, such as `{ id: "after.id" }` or `{ id: { firstOf: ["after.id",
   * "before.id"] } }`. Default: the column's own name. Only with `json`.
   */
  readonly columns?: Readonly<
    Record<
      string,
      | JsonPath
      | {
          /** The paths, of which the first one that leads to a value other than null counts. */
          readonly firstOf: readonly JsonPath[];
        }
    >
  >;
  /**
   * Maximum number of records of one shard in one batch. It is exact up to 1,000; a larger limit is
   * approximate. Default 100000.
   */
  readonly maxRecordsPerShard?: number;
  /**
   * If true (default), records that expired before they were read are an error
   * (`KINESIS_DATA_EXPIRED`). If false, they are skipped.
   */
  readonly failOnDataLoss?: boolean;
  /** Default: the region that the AWS SDK finds. */
  readonly region?: string;
  /** URL of another endpoint, such as a VPC endpoint. Default: the one that the AWS SDK finds. */
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
    columns: jsonColumns.optional(),
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
  })
  .refine(({ format, columns }) => format === "json" || columns === undefined, {
    path: ["columns"],
    message: "is only for the format json: raw has columns of its own",
  });

/** The options with their defaults. */
export type ParsedOptions = z.output<typeof OPTIONS>;
