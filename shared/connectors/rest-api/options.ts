import * as z from "zod";

/** A value that is read from the environment when a request is made; it is never stored and never logged. */
export interface FromEnvironment {
  /** Name of the variable. */
  readonly env: string;
}

/** How the pages of a list follow each other. */
export type Pagination =
  /** `?offset=0&limit=100`: the number of rows to skip. `first` is what the first page asks for (USGS: 1). */
  | {
      readonly type: "offset";
      readonly offsetParam?: string;
      readonly limitParam?: string;
      readonly first?: number;
    }
  /** `?page=1&per_page=100`. */
  | {
      readonly type: "page";
      readonly pageParam?: string;
      readonly sizeParam?: string;
      readonly first?: number;
    }
  /** `?cursor=…` with the cursor that the page before gave at `cursorPath`; none, null or "" ends the list. */
  | {
      readonly type: "cursor";
      readonly cursorPath: string;
      readonly cursorParam?: string;
      readonly sizeParam?: string;
    }
  /** The `Link` header's `rel="next"` (RFC 8288), on the same origin as `url`. */
  | { readonly type: "link"; readonly sizeParam?: string }
  /** One answer holds all rows. */
  | { readonly type: "none" };

/** Where a column's value lies in a record, and the unit of a number that stands for a time. */
export interface ColumnPath {
  /** Names and indexes joined by dots: `geometry.coordinates.0`. */
  readonly path: string;
  /** The number at `path` counts these since 1970-01-01T00:00:00Z. */
  readonly epoch?: "seconds" | "milliseconds" | "microseconds";
}

/** Reads ranges of time, each with requests of its own, so that many tasks read at once. */
export interface TimeRange {
  /** Query parameter of the range's start. */
  readonly startParam: string;
  /** Query parameter of its end. */
  readonly endParam: string;
  /** How the parameters are written. Default `iso`: `2026-11-21T00:00:00.000Z`. */
  readonly format?: "iso" | "epochSeconds" | "epochMilliseconds";
  /** True where the API's end is inclusive: one unit of `format` less is sent, unless `column` is set. Default false. */
  readonly endInclusive?: boolean;
  /** Timestamp column with each row's time. With it rows outside the half-open range are dropped: the neighbour has them. */
  readonly column?: string;
  /** Where the stream begins, ISO 8601. */
  readonly start: string;
  /** Where it ends, ISO 8601. Default: it does not. */
  readonly until?: string;
  /** Length of a partition. Ranges are half-open, so partitions never overlap. Default 3600. */
  readonly partitionSeconds?: number;
  /** Partitions of one batch at most. Default 100. */
  readonly maxPartitionsPerBatch?: number;
  /** How long rows may come late: the stream stays this far behind the clock. Default 60. */
  readonly lagSeconds?: number;
}

/** What to ask for, and how. */
export interface RestApiOptions {
  /** The list's URL, http or https. */
  readonly url: string;
  /** Spark DDL of the rows: `"id string, time timestamp, mag double"`. */
  readonly schema: string;
  /** Where the array of records lies in an answer: `features`, `data.items`. Default: the answer is the array. */
  readonly rows?: string;
  /** Where columns lie in a record. Default: under their own names. What is not there is null. */
  readonly columns?: Readonly<Record<string, string | ColumnPath>>;
  /** Query parameters of every request. */
  readonly query?: Readonly<Record<string, string | number | boolean | FromEnvironment>>;
  /** Headers of every request. */
  readonly headers?: Readonly<Record<string, string | FromEnvironment>>;
  /** Sent as `Authorization: Bearer …`. */
  readonly bearerToken?: FromEnvironment;
  /** Default: `{ type: "offset" }`. */
  readonly pagination?: Pagination;
  /** Rows of a page. Default 100. */
  readonly pageSize?: number;
  /** Without it the list is read by position, and must only ever grow at its end. */
  readonly timeRange?: TimeRange;
  /** Pages of one batch at most, without `timeRange`. Default 100. */
  readonly maxPagesPerBatch?: number;
  /** Seconds for one request, with its body. Default 30. */
  readonly timeoutSeconds?: number;
  /** How often a request is tried again after 408, 425, 429, 5xx or a broken connection. Default 3. */
  readonly maxRetries?: number;
  /** The longest wait before a retry, also where `Retry-After` asks for more; then the request fails. Default 60. */
  readonly maxRetryDelaySeconds?: number;
}

const fromEnvironment = z.strictObject({ env: z.string().min(1) });
const sizeParam = z.string().min(1).default("limit");
const count = z.int().positive();
const instant = z.iso.datetime({ offset: true });

export const OPTIONS = z.strictObject({
  url: z.url({ protocol: /^https?$/ }),
  schema: z.string().min(1),
  rows: z.string().min(1).optional(),
  columns: z
    .record(
      z.string(),
      z.union([
        z.string().min(1),
        z.strictObject({
          path: z.string().min(1),
          epoch: z.enum(["seconds", "milliseconds", "microseconds"]).optional(),
        }),
      ]),
    )
    .default({}),
  query: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), fromEnvironment])).default({}),
  headers: z.record(z.string(), z.union([z.string(), fromEnvironment])).default({}),
  bearerToken: fromEnvironment.optional(),
  pagination: z
    .discriminatedUnion("type", [
      z.strictObject({
        type: z.literal("offset"),
        offsetParam: z.string().min(1).default("offset"),
        limitParam: sizeParam,
        first: z.int().nonnegative().default(0),
      }),
      z.strictObject({
        type: z.literal("page"),
        pageParam: z.string().min(1).default("page"),
        sizeParam: z.string().min(1).default("per_page"),
        first: z.int().nonnegative().default(1),
      }),
      z.strictObject({
        type: z.literal("cursor"),
        cursorPath: z.string().min(1),
        cursorParam: z.string().min(1).default("cursor"),
        sizeParam,
      }),
      z.strictObject({ type: z.literal("link"), sizeParam: z.string().min(1).default("per_page") }),
      z.strictObject({ type: z.literal("none") }),
    ])
    .prefault({ type: "offset" }),
  pageSize: count.default(100),
  timeRange: z
    .strictObject({
      startParam: z.string().min(1),
      endParam: z.string().min(1),
      format: z.enum(["iso", "epochSeconds", "epochMilliseconds"]).default("iso"),
      endInclusive: z.boolean().default(false),
      column: z.string().min(1).optional(),
      start: instant,
      until: instant.optional(),
      partitionSeconds: count.default(3600),
      maxPartitionsPerBatch: count.default(100),
      lagSeconds: z.number().nonnegative().default(60),
    })
    .optional(),
  maxPagesPerBatch: count.default(100),
  timeoutSeconds: z.number().positive().default(30),
  maxRetries: z.int().nonnegative().default(3),
  maxRetryDelaySeconds: z.number().nonnegative().default(60),
});

/** Options with their defaults. */
export type ParsedOptions = z.output<typeof OPTIONS>;
