import * as z from "zod";
import { type FromEnvironment, fromEnvironment } from "../kit/secrets.ts";

/** How the connection is encrypted. */
export interface PostgresTls {
  /** Certificates to trust, in PEM. */
  readonly ca?: string;
  /** False if any certificate will do. Default true. */
  readonly rejectUnauthorized?: boolean;
}

/**
 * Where the server is. What is left out is taken from `PGHOST`, `PGPORT`, `PGDATABASE` and
 * `PGUSER`.
 */
export interface PostgresConnection {
  /** Default `localhost`. */
  readonly host?: string;
  /** Default 5432. */
  readonly port?: number;
  /** Default: the user's name. */
  readonly database?: string;
  /** Default: that of the process's owner. */
  readonly user?: string;
  /** Default: not encrypted. */
  readonly ssl?: boolean | PostgresTls;
}

/** A table, and how it is read or written. */
export interface PostgresOptions {
  /** `postgres://user@host:5432/database?sslmode=…`, in place of `connection`. */
  readonly url?: string | FromEnvironment;
  /** Where the server is, in place of `url`. */
  readonly connection?: PostgresConnection;
  /** Default: `PGPASSWORD`, if it is set. */
  readonly password?: FromEnvironment;
  /**
   * `schema.table`, or `table` on the search path. Capital letters count; `"my.table"` for a name
   * with a dot.
   */
  readonly table: string;

  /** Source: the columns to read. Default: all. */
  readonly columns?: readonly string[];
  /**
   * Source: a column whose values only grow from row to row: a sequence, a time, a UUID of version
   * 7. A stream needs it; a batch is split by it. It should have an index.
   */
  readonly cursorColumn?: string;
  /**
   * Source: columns that tell rows of equal `cursorColumn` apart, which batches can then be split
   * between. Sink: the key of an upsert; without it rows are appended.
   */
  readonly keyColumns?: readonly string[];
  /**
   * Source: rows whose `cursorColumn` is this or less are not read. Default: from the first row.
   */
  readonly startAfter?: string | number;
  /**
   * Source: how far a stream stays behind the clock of the server, if `cursorColumn` tells times
   * (also in a UUID). Default 60.
   */
  readonly lagSeconds?: number;
  /** Source: how long planning waits for transactions that are writing the table. Default 10. */
  readonly settleSeconds?: number;
  /** Source: rows of one batch at most. Default 100,000. */
  readonly maxRowsPerBatch?: number;
  /** Source: partitions of one batch at most. Default 8. */
  readonly maxPartitions?: number;
  /** Source: rows that are asked for at once; a partition has as many or more. Default 10,000. */
  readonly fetchSize?: number;

  /**
   * Sink: the table that records which batches have landed. Default `millrace_batches` beside
   * `table`.
   */
  readonly batchesTable?: string;
}

const name = z.string().min(1);
const names = z.array(name).min(1);
const count = z.int().positive();

export const OPTIONS = z
  .strictObject({
    url: z.union([z.url({ protocol: /^postgres(ql)?$/ }), fromEnvironment]).optional(),
    connection: z
      .strictObject({
        host: name.optional(),
        port: z.int().min(1).max(65_535).optional(),
        database: name.optional(),
        user: name.optional(),
        ssl: z
          .union([
            z.boolean(),
            z.strictObject({ ca: name.optional(), rejectUnauthorized: z.boolean().optional() }),
          ])
          .optional(),
      })
      .optional(),
    password: fromEnvironment.optional(),
    table: name,
    columns: names.optional(),
    cursorColumn: name.optional(),
    keyColumns: names.optional(),
    startAfter: z.union([z.string(), z.int()]).optional(),
    lagSeconds: z.number().nonnegative().optional(),
    settleSeconds: z.number().nonnegative().default(10),
    maxRowsPerBatch: count.default(100_000),
    maxPartitions: count.default(8),
    fetchSize: count.default(10_000),
    batchesTable: name.optional(),
  })
  .refine(({ url, connection }) => url === undefined || connection === undefined, {
    message: "url and connection exclude each other",
  });

/** Options with their defaults. */
export type ParsedOptions = z.output<typeof OPTIONS>;
