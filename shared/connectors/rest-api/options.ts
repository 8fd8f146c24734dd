import * as z from "zod";
import { MillraceError } from "../../contract/errors.ts";
import { type JsonPath, jsonPath } from "../kit/json-path.ts";
import { CHANGES, type ChangeRequests } from "./change-options.ts";
import { PAGINATION, type Pagination } from "./pagination.ts";
import { REQUEST, type RequestOptions, type RestApiRequestOptions } from "./request-options.ts";
import { TIME_RANGE, type TimeRangeOptions } from "./time-range-options.ts";

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
  /**
   * `empty`: an answer without the array at `rows` has no rows. Default `error`, unless the answer
   * has status 204, is null, has null at `rows`, or counts no rows at `totalPath`.
   */
  readonly missingRows?: "error" | "empty";
  /** Paths of columns in a record. Default: the column's own name. A missing value is null. */
  readonly columns?: Readonly<Record<string, JsonPath | ColumnPath>>;
  /** How pages follow each other. Default: `{ type: "offset" }`. */
  readonly pagination?: Pagination;
  /** Number of rows in a page. Default 100. */
  readonly pageSize?: number;
  /**
   * The column, or the columns, whose values no two rows of the list share. A row that comes twice
   * is then the error `LIST_MOVED`. It keeps 16 bytes for each row while a list is read.
   */
  readonly key?: string | readonly string[];
  /**
   * The JSON body of every request, which is then a POST request. It must only read, because it is
   * retried. A value `{ env: "NAME" }` is read from the environment. The parameters of pages and
   * time ranges are put into the body, at their names as paths, such as `variables.after`.
   */
  readonly requestBody?: Readonly<Record<string, unknown>>;
  /**
   * Where the parameters of pages and time ranges are sent. Default `body` if `requestBody` is set,
   * and `query` otherwise.
   */
  readonly paramsIn?: "query" | "body";
  /**
   * Path of errors in an answer with status 200. If they are there, the answer is the error
   * `ANSWER_HAS_ERRORS`. Default `errors` if `requestBody` is set, as in GraphQL. If it is null,
   * none are looked for.
   */
  readonly errorsPath?: JsonPath | null;
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
  readonly body?:
    | "array"
    | "ndjson"
    | "object"
    | {
        /** Path of the array of rows in the body. */
        readonly rows: JsonPath;
      };
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
  /**
   * With `.merge()`: how upserts and deletes are sent, one request for each key. Not together with
   * `method`, `body`, `rowsPerRequest` and `idempotencyKey`.
   */
  readonly changes?: ChangeRequests;
}

/** All options of a source or a sink. */
export interface RestApiOptions extends RestApiRequestOptions, RestApiSourceOptions, RestApiSinkOptions {}

const count = z.int().positive();

// These have no defaults, so that it is visible whether the options of a source or of a sink are
// set.
const SOURCE = {
  schema: z.string().min(1).optional(),
  rows: jsonPath.optional(),
  missingRows: z.enum(["error", "empty"]).optional(),
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
  key: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]).optional(),
  requestBody: z.record(z.string(), z.unknown()).optional(),
  paramsIn: z.enum(["query", "body"]).optional(),
  errorsPath: jsonPath.nullable().optional(),
  timeRange: TIME_RANGE.optional(),
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
  changes: CHANGES.optional(),
};

/** The options of a sink that say how rows, and not changes, are sent. */
const OF_ROWS = ["method", "body", "rowsPerRequest", "idempotencyKey"] as const;

export const OPTIONS = z
  .strictObject({ ...REQUEST, ...SOURCE, ...SINK })
  .refine(({ body, rowsPerRequest = 1 }) => body !== "object" || rowsPerRequest === 1, {
    path: ["rowsPerRequest"],
    message: 'Must be 1 where body is "object"',
  })
  .refine(
    (options) => options.changes === undefined || OF_ROWS.every((name) => options[name] === undefined),
    {
      path: ["changes"],
      message: `Cannot be set together with ${OF_ROWS.join(", ")}`,
    },
  )
  .refine(({ oauth2, bearerToken }) => oauth2 === undefined || bearerToken === undefined, {
    path: ["oauth2"],
    message: "Cannot be set together with bearerToken",
  })
  .refine(({ paramsIn, requestBody }) => paramsIn !== "body" || requestBody !== undefined, {
    path: ["paramsIn"],
    message: 'Must be "query" without requestBody',
  })
  .refine(({ pagination, requestBody }) => requestBody === undefined || !isLinked(pagination?.type), {
    path: ["requestBody"],
    message: 'Cannot be used with the pagination "link" or "next": their URLs are requested as they are',
  });

function isLinked(type: Pagination["type"] | undefined): boolean {
  return type === "link" || type === "next";
}

/** The checked options of a source or a sink. */
export type ParsedOptions = z.output<typeof OPTIONS>;

type WithDefaults<Options, Names extends keyof Options> = Omit<Options, Names> & {
  readonly [Name in Names]-?: Exclude<Options[Name], undefined>;
};

/** The options of a source, with their defaults. */
export type SourceOptions = RequestOptions & {
  /** True if `pagination` is not set, so that the API may have none. */
  readonly isPaginationAssumed: boolean;
} & WithDefaults<
    Pick<ParsedOptions, keyof typeof SOURCE>,
    "columns" | "pagination" | "pageSize" | "maxPagesPerBatch" | "missingRows" | "paramsIn"
  >;

/** The options of a sink, with their defaults. */
export type SinkOptions = RequestOptions &
  WithDefaults<Pick<ParsedOptions, keyof typeof SINK>, Exclude<keyof typeof SINK, "changes">>;

/** Returns the options of a reader. Error: `OPTIONS_INVALID` if options of a sink are set. */
export function sourceOptions(options: ParsedOptions): SourceOptions {
  rejectOptions(options, Object.keys(SINK), "is read from", "written to");
  return {
    ...options,
    columns: options.columns ?? {},
    isPaginationAssumed: options.pagination === undefined && options.requestBody === undefined,
    pagination: options.pagination ?? PAGINATION.parse({ type: "offset" }),
    pageSize: options.pageSize ?? 100,
    maxPagesPerBatch: options.maxPagesPerBatch ?? 100,
    missingRows: options.missingRows ?? "error",
    paramsIn: options.paramsIn ?? (options.requestBody === undefined ? "query" : "body"),
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
