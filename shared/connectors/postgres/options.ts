import * as z from "zod";
import { ONE_SERVER, type PostgresConnection, SECONDS, SERVER } from "../kit/postgres/server-options.ts";
import type { FromEnvironment } from "../kit/secrets.ts";

/** A table, and how it is read or written. */
export interface PostgresOptions {
  /** The server as a URL, `postgres://user@host:5432/database?sslmode=…`. Excludes `connection`. */
  readonly url?: string | FromEnvironment;
  /** The server as separate values. Excludes `url`. */
  readonly connection?: PostgresConnection;
  /** The environment variable with the password. Default: `PGPASSWORD`, if it is set. */
  readonly password?: FromEnvironment;
  /**
   * `schema.table`, or `table` on the search path. Names are case-sensitive. Quote a name that
   * contains a dot: `"my.table"`.
   */
  readonly table: string;

  /** Source: the columns to read. Default: all. */
  readonly columns?: readonly string[];
  /**
   * Source: a column whose values increase with each new row, such as a sequence, a time, or a UUID
   * of version 7. A stream requires it; a batch is split by it. It should have an index.
   */
  readonly cursorColumn?: string;
  /**
   * Source: columns that order rows with equal `cursorColumn`, so that they can be in different
   * batches. Sink: the key of an upsert; without it, rows are appended.
   */
  readonly keyColumns?: readonly string[];
  /**
   * Source: rows whose `cursorColumn` is less than or equal to this are not read. Default: start
   * from the first row.
   */
  readonly startAfter?: string | number;
  /**
   * Source: whether a table that seems to have begun anew is an error, `POSTGRES_TABLE_RESET`. If
   * false, a stream reads on after its offset. Default true.
   */
  readonly failOnReset?: boolean;
  /**
   * Source: what a stream does about rows whose `cursorColumn` is null, which it cannot read.
   * `skip` leaves them out. Default `fail`.
   */
  readonly nullCursors?: "fail" | "skip";
  /**
   * Source: whether the sequence of `cursorColumn` fills it. Set `ignore` if the numbers come from
   * elsewhere, for example from the table that this one is a copy of. Default `use`.
   */
  readonly sequence?: "use" | "ignore";
  /**
   * Source: seconds that a stream stays behind the server's clock, if `cursorColumn` contains times
   * (including UUIDs of version 7). Default 60.
   */
  readonly lagSeconds?: number;
  /**
   * Source: maximum time in seconds that planning waits for transactions that are writing to the
   * table. Default 10.
   */
  readonly settleSeconds?: number;
  /** Source: maximum number of rows in a batch. Default 100000. */
  readonly maxRowsPerBatch?: number;
  /** Source: maximum number of partitions in a batch. Default 8. */
  readonly maxPartitions?: number;
  /**
   * Source: number of rows fetched at a time, and minimum number of rows in a partition. Default
   * 10000.
   */
  readonly fetchSize?: number;

  /** Maximum time in seconds to make a connection. Default 30. */
  readonly connectSeconds?: number;
  /**
   * Maximum time in seconds of one statement. The server cancels a longer one; if there is no
   * answer, the connection is given up a tenth of this time later. Default 600.
   */
  readonly statementSeconds?: number;
  /** Maximum time in seconds that a statement waits for locks of other sessions. Default 60. */
  readonly lockSeconds?: number;
  /**
   * Sink: the columns whose values tell which rows `.overwritePartitions()` replaces: those with
   * the values of a new row. A null equals a null. They should have an index.
   */
  readonly partitionBy?: readonly string[];
  /**
   * Sink: maximum time in seconds that a commit may be idle between two statements. After that the
   * server ends its session, which frees its locks. Default 120.
   */
  readonly idleSeconds?: number;

  /**
   * Sink: the columns that identify a row that `.update()`, `.deleteWhere()` or `.merge()` changes.
   * They need a unique index, and must not be null. Default: the primary key, else such an index.
   */
  readonly rowId?: readonly string[];
  /**
   * Sink: the table in which `.merge()` of a stream keeps the last sequence of each key. Default:
   * the name of `table` with `_millrace_changes`, in its schema.
   */
  readonly changesTable?: string;

  /**
   * Sink: the table that records which batches are committed. Default: `millrace_batches` in the
   * schema of `table`.
   */
  readonly batchesTable?: string;
}

const name = z.string().min(1);
const names = z.array(name).min(1);
const count = z.int().positive();
export const OPTIONS = z
  .strictObject({
    ...SERVER,
    table: name,
    columns: names.optional(),
    cursorColumn: name.optional(),
    keyColumns: names.optional(),
    partitionBy: names.optional(),
    startAfter: z.union([z.string(), z.int()]).optional(),
    failOnReset: z.boolean().default(true),
    nullCursors: z.enum(["fail", "skip"]).default("fail"),
    sequence: z.enum(["use", "ignore"]).default("use"),
    lagSeconds: z.number().nonnegative().optional(),
    settleSeconds: z.number().nonnegative().default(10),
    maxRowsPerBatch: count.default(100_000),
    maxPartitions: count.default(8),
    fetchSize: count.default(10_000),
    idleSeconds: SECONDS.default(120),
    batchesTable: name.optional(),
    rowId: names.optional(),
    changesTable: name.optional(),
  })
  .refine(...ONE_SERVER);

/** The options with their defaults. */
export type ParsedOptions = z.output<typeof OPTIONS>;
