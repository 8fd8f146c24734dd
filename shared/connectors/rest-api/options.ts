import * as z from "zod";
import { MillraceError } from "../../contract/errors.ts";
import { type FromEnvironment, fromEnvironment } from "../kit/secrets.ts";

/** How the pages of a list follow each other. */
export type Pagination =
  /**
   * `?offset=0&limit=100`: the number of rows to skip. `first` is what the first page asks for
   * (USGS: 1).
   */
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
  /**
   * `?cursor=…` with the cursor that the page before has at `cursorPath`; none, null or "" ends
   * the list.
   */
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
export interface TimeRangeOptions {
  /** Query parameter of the range's start. */
  readonly startParam: string;
  /** Query parameter of its end. */
  readonly endParam: string;
  /** How the parameters are written. Default `iso`: `2026-11-21T00:00:00.000Z`. */
  readonly format?: "iso" | "epochSeconds" | "epochMilliseconds";
  /**
   * True if the API's end is inclusive: one unit of `format` less is sent, unless `column` is
   * set. Default false.
   */
  readonly endInclusive?: boolean;
  /**
   * Timestamp column with each row's time. With it rows outside the half-open range are dropped:
   * the neighbour has them.
   */
  readonly column?: string;
  /** Where the stream or the batch begins, ISO 8601. */
  readonly start: string;
  /**
   * Where it ends, ISO 8601. Default: a stream does not, a batch ends `lagSeconds` behind the
   * clock.
   */
  readonly until?: string;
  /** Length of a partition. Ranges are half-open, so partitions never overlap. Default 3600. */
  readonly partitionSeconds?: number;
  /** Partitions of one batch of a stream at most. Default 100. */
  readonly maxPartitionsPerBatch?: number;
  /** How long rows may come late: a stream stays this far behind the clock. Default 60. */
  readonly lagSeconds?: number;
}

/** Where the API is, and how it is asked: of a source and of a sink. */
export interface RestApiRequestOptions {
  /** The URL of the list that is read, or to which rows are sent; http or https. */
  readonly url: string;
  /** Query parameters of every request. */
  readonly query?: Readonly<Record<string, string | number | boolean | FromEnvironment>>;
  /** Headers of every request. */
  readonly headers?: Readonly<Record<string, string | FromEnvironment>>;
  /** Sent as `Authorization: Bearer …`. */
  readonly bearerToken?: FromEnvironment;
  /** Seconds for one request, with its body. Default 30. */
  readonly timeoutSeconds?: number;
  /**
   * How often a request is tried again after 408, 425, 429, 5xx or a broken connection. Default 3.
   */
  readonly maxRetries?: number;
  /**
   * The longest wait before a retry, also if `Retry-After` asks for more; then the request
   * fails. Default 60.
   */
  readonly maxRetryDelaySeconds?: number;
}

/** What is read: only of a source. */
export interface RestApiSourceOptions {
  /**
   * Spark DDL of the rows: `"id string, time timestamp, mag double"`. It may be left out if the
   * pipeline has `.schema(…)`.
   */
  readonly schema?: string;
  /**
   * Where the array of records lies in an answer: `features`, `data.items`. Default: the answer is
   * the array.
   */
  readonly rows?: string;
  /** Where columns lie in a record. Default: under their own names. What is not there is null. */
  readonly columns?: Readonly<Record<string, string | ColumnPath>>;
  /** Default: `{ type: "offset" }`. */
  readonly pagination?: Pagination;
  /** Rows of a page. Default 100. */
  readonly pageSize?: number;
  /**
   * Without it a stream reads the list by position, so that it must only ever grow at its end; a
   * batch reads all of it, in one partition.
   */
  readonly timeRange?: TimeRangeOptions;
  /** Pages of one batch of a stream at most, without `timeRange`. Default 100. */
  readonly maxPagesPerBatch?: number;
}

/** How rows are sent: only of a sink. */
export interface RestApiSinkOptions {
  /** Default `POST`. */
  readonly method?: "POST" | "PUT" | "PATCH";
  /**
   * What a request carries: an `array` of rows; `ndjson`, a row a line; an object that has the
   * array at the path `rows`, such as `data.items`; the one row itself, as an `object`. Default
   * `array`.
   */
  readonly body?: "array" | "ndjson" | "object" | { readonly rows: string };
  /**
   * Rows of one request at most. Default 100; 1 if `body` is `object`. An open batch keeps what
   * it was begun with.
   */
  readonly rowsPerRequest?: number;
  /**
   * What the API is to take for the same request. `position`: these rows of this batch. `content`:
   * equal rows of this pipeline, whenever; of two requests with equal rows one counts. Default
   * `position`.
   */
  readonly idempotencyKey?: "position" | "content";
  /**
   * Header of the key; `null` to send none: then what may have been processed is not sent again by
   * itself. Default `Idempotency-Key`.
   */
  readonly idempotencyHeader?: string | null;
  /**
   * Statuses by which the API says that it has these rows already, such as `[409]`. Default: none.
   */
  readonly alreadyDone?: readonly number[];
  /** Requests of one task at once; above 1 rows may arrive in another order. Default 1. */
  readonly maxConcurrency?: number;
}

/** What to ask for or to send, and how. */
export interface RestApiOptions extends RestApiRequestOptions, RestApiSourceOptions, RestApiSinkOptions {}

const sizeParam = z.string().min(1).default("limit");
const count = z.int().positive();
const instant = z.iso.datetime({ offset: true });

const REQUEST = {
  url: z.url({ protocol: /^https?$/ }),
  query: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), fromEnvironment])).default({}),
  headers: z.record(z.string(), z.union([z.string(), fromEnvironment])).default({}),
  bearerToken: fromEnvironment.optional(),
  timeoutSeconds: z.number().positive().default(30),
  maxRetries: z.int().nonnegative().default(3),
  maxRetryDelaySeconds: z.number().nonnegative().default(60),
};

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
    cursorPath: z.string().min(1),
    cursorParam: z.string().min(1).default("cursor"),
    sizeParam,
  }),
  z.strictObject({ type: z.literal("link"), sizeParam: z.string().min(1).default("per_page") }),
  z.strictObject({ type: z.literal("none") }),
]);

// Without defaults: what is set tells whether the options are those of a source or of a sink.
const SOURCE = {
  schema: z.string().min(1).optional(),
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
      [z.enum(["array", "ndjson", "object"]), z.strictObject({ rows: z.string().min(1) })],
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
  });

/** Checked options, of either role. */
export type ParsedOptions = z.output<typeof OPTIONS>;

type WithDefaults<Options, Names extends keyof Options> = Omit<Options, Names> & {
  readonly [Name in Names]-?: Exclude<Options[Name], undefined>;
};

/** Options of every request. */
export type RequestOptions = Pick<ParsedOptions, keyof typeof REQUEST>;

/** Options of a source, with defaults. */
export type SourceOptions = RequestOptions &
  WithDefaults<
    Pick<ParsedOptions, keyof typeof SOURCE>,
    "columns" | "pagination" | "pageSize" | "maxPagesPerBatch"
  >;

/** The option `timeRange`, with defaults. */
export type ParsedTimeRange = NonNullable<SourceOptions["timeRange"]>;

/** Options of a sink, with defaults. */
export type SinkOptions = RequestOptions &
  WithDefaults<Pick<ParsedOptions, keyof typeof SINK>, keyof typeof SINK>;

/** What a reader needs. Error: `OPTIONS_INVALID` if there are options of a sink. */
export function sourceOptions(options: ParsedOptions): SourceOptions {
  refuse(options, Object.keys(SINK), "is read from", "written to");
  return {
    ...options,
    columns: options.columns ?? {},
    pagination: options.pagination ?? PAGINATION.parse({ type: "offset" }),
    pageSize: options.pageSize ?? 100,
    maxPagesPerBatch: options.maxPagesPerBatch ?? 100,
  };
}

/** What a writer needs. Error: `OPTIONS_INVALID` if there are options of a source. */
export function sinkOptions(options: ParsedOptions): SinkOptions {
  refuse(options, Object.keys(SOURCE), "is written to", "read from");
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

function refuse(options: ParsedOptions, names: readonly string[], role: string, other: string): void {
  const given = names.filter((name) => Reflect.get(options, name) !== undefined);
  if (given.length === 0) return;
  throw new MillraceError(
    "OPTIONS_INVALID",
    `RestApi ${role} here, but ${given.join(", ")} ${given.length === 1 ? "is" : "are"} for an API that is ${other}`,
    { hint: "Remove them from the options of this .format(RestApi), or move them to those of the other." },
  );
}
