import * as z from "zod";
import { MillraceError } from "../../contract/errors.ts";
import { type JsonPath, jsonPath } from "../kit/json-path.ts";
import { REQUEST, type RequestOptions, type RestApiRequestOptions } from "./request-options.ts";

/** How the API splits a list into pages. */
export type Pagination =
  /**
   * `?offset=0&limit=100`: the offset is the number of rows to skip. `first` is the offset of the
   * first page (0 by default; USGS uses 1).
   */
  | {
      readonly type: "offset";
      readonly offsetParam?: string;
      readonly limitParam?: string;
      readonly first?: number;
    }
  /** `?page=1&per_page=100`: pages are numbered. `first` is the number of the first page. */
  | {
      readonly type: "page";
      readonly pageParam?: string;
      readonly sizeParam?: string;
      readonly first?: number;
    }
  /**
   * `?cursor=…`: each response has the cursor of the next page at `cursorPath`. The list ends if it
   * is missing, null or "".
   */
  | {
      readonly type: "cursor";
      readonly cursorPath: JsonPath;
      readonly cursorParam?: string;
      readonly sizeParam?: string;
    }
  /**
   * The `Link` header's `rel="next"` (RFC 8288) is the URL of the next page. It must have the same
   * origin as `url`.
   */
  | { readonly type: "link"; readonly sizeParam?: string }
  /** The API has no pagination: one response has all rows. */
  | { readonly type: "none" };

/** The path of a column's value in a record and, for a numeric time, its unit. */
export interface ColumnPath {
  /** Names and indexes joined by dots: `geometry.coordinates.0`. */
  readonly path: JsonPath;
  /** If set, the value is a time: a number of these units since 1970-01-01T00:00:00Z. */
  readonly epoch?: "seconds" | "milliseconds" | "microseconds" | "nanoseconds";
  /**
   * What becomes of digits below the microsecond, which a timestamp cannot hold. Default: they are
   * an error, unless they are zeros. `drop` rounds the time down.
   */
  readonly subMicroseconds?: "drop";
  /**
   * `text`: a number becomes the text of a `string` column, digit for digit as the API wrote it.
   * Default: a number for such a column is an error.
   */
  readonly as?: "text";
}

/**
 * Reads the list by time ranges. Each range has its own requests, so many tasks can read in
 * parallel.
 */
export interface TimeRangeOptions {
  /** Query parameter for the start of a range. */
  readonly startParam: string;
  /** Query parameter for the end of a range. */
  readonly endParam: string;
  /** Format of the two parameters. Default `iso`: `2026-11-21T00:00:00.000Z`. */
  readonly format?: "iso" | "epochSeconds" | "epochMilliseconds";
  /**
   * True if the API includes rows at exactly the end time. The end that is sent is then one unit of
   * `format` earlier, unless `column` is set. Default false.
   */
  readonly endInclusive?: boolean;
  /**
   * The timestamp column with each row's time. If set, rows outside the half-open range are
   * dropped, because another partition has them.
   */
  readonly column?: string;
  /** Start of the stream or the batch, ISO 8601. */
  readonly start: string;
  /**
   * End of the stream or the batch, ISO 8601. By default a stream has no end, and a batch ends
   * `lagSeconds` before the current time.
   */
  readonly until?: string;
  /**
   * Length of a partition in seconds. Ranges are half-open, so partitions do not overlap. Default
   * 3600.
   */
  readonly partitionSeconds?: number;
  /** Maximum number of partitions in a stream's batch. Default 100. */
  readonly maxPartitionsPerBatch?: number;
  /**
   * Seconds that rows may arrive late. A stream stays this far behind the current time. Default 60.
   */
  readonly lagSeconds?: number;
}

/** Options of the source. A sink has no use for them. */
export interface RestApiSourceOptions {
  /**
   * Spark DDL of the rows, such as `"id string, time timestamp, mag double"`. It can be omitted if
   * the pipeline has `.schema(…)`.
   */
  readonly schema?: string;
  /**
   * Path of the array of records in a response: `features`, `data.items`, or `["data.items"]` if
   * the dot is part of the name. Default: the response itself is the array.
   */
  readonly rows?: JsonPath;
  /** Paths of columns in a record. Default: the column's own name. A missing value is null. */
  readonly columns?: Readonly<Record<string, JsonPath | ColumnPath>>;
  /** How pages follow each other. Default: `{ type: "offset" }`. */
  readonly pagination?: Pagination;
  /** Number of rows in a page. Default 100. */
  readonly pageSize?: number;
  /**
   * Reads the list by time ranges. Without this option, a stream reads the list by position, so the
   * list must only grow at its end. A batch then reads the whole list in one partition.
   */
  readonly timeRange?: TimeRangeOptions;
  /** Maximum number of pages in a stream's batch, without `timeRange`. Default 100. */
  readonly maxPagesPerBatch?: number;
}

/** How rows are sent. Only for sinks. */
export interface RestApiSinkOptions {
  /** The method of the requests. Default `POST`. */
  readonly method?: "POST" | "PUT" | "PATCH";
  /**
   * The body of a request: an `array` of rows; `ndjson`, one row per line; an object with the array
   * at the path `rows`, such as `data.items`; or an `object`, which is the single row itself.
   * Default `array`.
   */
  readonly body?: "array" | "ndjson" | "object" | { readonly rows: JsonPath };
  /**
   * Maximum number of rows in a request. Default 100, or 1 if `body` is `object`. A change applies
   * only to batches that start after it.
   */
  readonly rowsPerRequest?: number;
  /**
   * What the idempotency key identifies. `position`: the position of the rows in their batch.
   * `content`: the rows themselves, so that equal requests of this pipeline count once, even in
   * different batches. Default `position`.
   */
  readonly idempotencyKey?: "position" | "content";
  /**
   * Header for the idempotency key. If it is `null`, no key is sent, and requests that the API may
   * have processed are not retried. Default `Idempotency-Key`.
   */
  readonly idempotencyHeader?: string | null;
  /**
   * Statuses with which the API says that it already has these rows, such as `[409]`. Default:
   * none.
   */
  readonly alreadyDone?: readonly number[];
  /**
   * Number of parallel requests of one task. If it is above 1, rows may arrive in another order.
   * Default 1.
   */
  readonly maxConcurrency?: number;
}

/** All options of a source or a sink. */
export interface RestApiOptions extends RestApiRequestOptions, RestApiSourceOptions, RestApiSinkOptions {}

const sizeParam = z.string().min(1).default("limit");
const count = z.int().positive();
const instant = z.iso.datetime({ offset: true });

const PAGINATION = z.discriminatedUnion("type", [
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
    cursorPath: jsonPath,
    cursorParam: z.string().min(1).default("cursor"),
    sizeParam,
  }),
  z.strictObject({ type: z.literal("link"), sizeParam: z.string().min(1).default("per_page") }),
  z.strictObject({ type: z.literal("none") }),
]);

// These have no defaults, so that it is visible whether the options of a source or of a sink are
// set.
const SOURCE = {
  schema: z.string().min(1).optional(),
  rows: jsonPath.optional(),
  columns: z
    .record(
      z.string(),
      z.union([
        jsonPath,
        z.strictObject({
          path: jsonPath,
          epoch: z.enum(["seconds", "milliseconds", "microseconds", "nanoseconds"]).optional(),
          subMicroseconds: z.literal("drop").optional(),
          as: z.literal("text").optional(),
        }),
      ]),
    )
    .optional(),
  pagination: PAGINATION.optional(),
  pageSize: count.optional(),
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
  maxPagesPerBatch: count.optional(),
};

const SINK = {
  method: z.enum(["POST", "PUT", "PATCH"]).optional(),
  body: z
    .union(
      [z.enum(["array", "ndjson", "object"]), z.strictObject({ rows: jsonPath })],
      'Must be "array", "ndjson", "object" or { rows: … }',
    )
    .optional(),
  rowsPerRequest: count.optional(),
  idempotencyKey: z.enum(["position", "content"]).optional(),
  idempotencyHeader: z
    .string()
    .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, "Invalid header name")
    .nullable()
    .optional(),
  alreadyDone: z.array(z.int().min(300).max(599)).optional(),
  maxConcurrency: count.optional(),
};

export const OPTIONS = z
  .strictObject({ ...REQUEST, ...SOURCE, ...SINK })
  .refine(({ body, rowsPerRequest = 1 }) => body !== "object" || rowsPerRequest === 1, {
    path: ["rowsPerRequest"],
    message: 'Must be 1 where body is "object"',
  })
  .refine(({ oauth2, bearerToken }) => oauth2 === undefined || bearerToken === undefined, {
    path: ["oauth2"],
    message: "Cannot be set together with bearerToken",
  });

/** The checked options of a source or a sink. */
export type ParsedOptions = z.output<typeof OPTIONS>;

type WithDefaults<Options, Names extends keyof Options> = Omit<Options, Names> & {
  readonly [Name in Names]-?: Exclude<Options[Name], undefined>;
};

/** The options of a source, with their defaults. */
export type SourceOptions = RequestOptions &
  WithDefaults<
    Pick<ParsedOptions, keyof typeof SOURCE>,
    "columns" | "pagination" | "pageSize" | "maxPagesPerBatch"
  >;

/** The option `timeRange` with its defaults. */
export type ParsedTimeRange = NonNullable<SourceOptions["timeRange"]>;

/** The options of a sink, with their defaults. */
export type SinkOptions = RequestOptions &
  WithDefaults<Pick<ParsedOptions, keyof typeof SINK>, keyof typeof SINK>;

/** Returns the options of a reader. Error: `OPTIONS_INVALID` if options of a sink are set. */
export function sourceOptions(options: ParsedOptions): SourceOptions {
  rejectOptions(options, Object.keys(SINK), "is read from", "written to");
  return {
    ...options,
    columns: options.columns ?? {},
    pagination: options.pagination ?? PAGINATION.parse({ type: "offset" }),
    pageSize: options.pageSize ?? 100,
    maxPagesPerBatch: options.maxPagesPerBatch ?? 100,
  };
}

/** Returns the options of a writer. Error: `OPTIONS_INVALID` if options of a source are set. */
export function sinkOptions(options: ParsedOptions): SinkOptions {
  rejectOptions(options, Object.keys(SOURCE), "is written to", "read from");
  const body = options.body ?? "array";
  return {
    ...options,
    method: options.method ?? "POST",
    body,
    rowsPerRequest: options.rowsPerRequest ?? (body === "object" ? 1 : 100),
    idempotencyKey: options.idempotencyKey ?? "position",
    idempotencyHeader:
      options.idempotencyHeader === undefined ? "Idempotency-Key" : options.idempotencyHeader,
    alreadyDone: options.alreadyDone ?? [],
    maxConcurrency: options.maxConcurrency ?? 1,
  };
}

function rejectOptions(options: ParsedOptions, names: readonly string[], role: string, other: string): void {
  const given = names.filter((name) => Reflect.get(options, name) !== undefined);
  if (given.length === 0) return;
  throw new MillraceError(
    "OPTIONS_INVALID",
    `RestApi ${role} here, but ${given.join(", ")} ${given.length === 1 ? "is" : "are"} for an API that is ${other}`,
    { hint: "Remove them from the options of this .format(RestApi), or move them to those of the other." },
  );
}
