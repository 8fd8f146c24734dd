import type { Schema } from "apache-arrow";
import * as z from "zod";
import type { DataSourceReader } from "../../contract/batch-reader.ts";
import { DataSource } from "../../contract/data-source.ts";
import { toSchema } from "../../contract/ddl/to-schema.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { OptionsSchema } from "../../contract/options/parse.ts";
import type { SchemaLike } from "../../contract/schema-like.ts";
import type { DataSourceStreamReader } from "../../contract/stream-reader.ts";
import type { SupportsWrite } from "../../contract/write/table.ts";
import { MemoryReader, type MemorySource, MemoryStreamReader } from "./readers.ts";
import { memorySink } from "./sink.ts";
import { findStream } from "./stream.ts";
import { openTable } from "./table.ts";

export { MemoryStream } from "./stream.ts";
export { type MemoryBatch, type MemoryTable, memoryTable } from "./table.ts";

/** The stream to read or the table to write. */
export interface MemoryOptions {
  /** Name of the `MemoryStream` to read. */
  readonly stream?: string;
  /** Name of the `memoryTable` to write. */
  readonly table?: string;
  /** Maximum number of partitions in a batch that is read. Default 1. */
  readonly numPartitions?: number;
  /** Maximum number of rows in a stream's batch. Default: all available rows. */
  readonly maxRowsPerBatch?: number;
  /** Sink: the columns whose values tell the partitions that `.overwritePartitions()` replaces. */
  readonly partitionBy?: readonly string[];
  /** Sink: whether its tasks receive rows or Arrow record batches. Default `rows`. */
  readonly form?: "rows" | "arrow";
  /**
   * Sink: the form of the conditions that it takes. `filters` is Spark's older one. Default
   * `predicates`.
   */
  readonly filterForm?: "predicates" | "filters";
  /**
   * Commands: the columns of the table. Default: those of the batches that it has. Needed if it has
   * none.
   */
  readonly schema?: SchemaLike;
  /**
   * Commands: whether the table gets the changes of rows, or the rows of whole files, each of which
   * has what one task wrote. Default `delta`.
   */
  readonly rowLevel?: "delta" | "group";
  /**
   * Commands: the columns that identify a row in the form `delta`. Default: the metadata columns
   * `_file` and `_pos`.
   */
  readonly rowId?: readonly string[];
  /** Sink: whether a batch pipeline inserts its rows in one call, as a `V1Write`. Default false. */
  readonly v1Write?: boolean;
}

const count = z.int().positive();
const OPTIONS = z.strictObject({
  stream: z.string().min(1).optional(),
  table: z.string().min(1).optional(),
  numPartitions: count.default(1),
  maxRowsPerBatch: count.optional(),
  partitionBy: z.array(z.string().min(1)).min(1).optional(),
  form: z.enum(["rows", "arrow"]).default("rows"),
  filterForm: z.enum(["predicates", "filters"]).default("predicates"),
  v1Write: z.boolean().default(false),
  schema: z.custom<SchemaLike>((value) => typeof value === "string" || typeof value === "object").optional(),
  rowLevel: z.enum(["delta", "group"]).default("delta"),
  rowId: z.array(z.string().min(1)).min(1).default(["_file", "_pos"]),
});
type ParsedOptions = z.output<typeof OPTIONS>;

/**
 * Rows in memory as a source and a sink, for tests that run a pipeline in their own thread with
 * `runPipeline` of `millrace/testing`. Other runners give each task its own thread or machine with
 * its own memory; there it fails with `MEMORY_NOT_HERE`. Guide: docs/memory.md. Error:
 * `OPTIONS_INVALID`.
 */
export class Memory extends DataSource<ParsedOptions> {
  /** The name for `.format("memory")` once the class is registered. */
  static override readonly name: string = "memory";
  /** The schema that validates `MemoryOptions`. */
  static readonly optionsSchema = OPTIONS as OptionsSchema<MemoryOptions, ParsedOptions>;

  /**
   * Returns the schema of the memory stream; without a stream that of the table. Errors:
   * `MEMORY_NOT_HERE`, `NOT_SUPPORTED` if the table has no columns yet.
   */
  override schema(): Schema {
    const { stream, table, schema } = this.options;
    if (stream !== undefined || table === undefined) return findStream(this.#source.stream).schema;
    const columns = schema === undefined ? openTable(table).columns() : toSchema(schema);
    return columns ?? (super.schema() as Schema);
  }

  /** Returns a batch reader of all rows that the stream has now. */
  override reader(_schema: Schema): DataSourceReader<unknown> {
    return new MemoryReader(this.#source);
  }

  /** Returns a stream reader whose offset is the number of rows read. */
  override streamReader(_schema: Schema): DataSourceStreamReader<object, unknown> {
    return new MemoryStreamReader(this.#source);
  }

  /** Returns the table, which can do everything that Spark's package `connector.write` has. */
  override table(_schema: Schema): SupportsWrite {
    const { schema, ...options } = this.options;
    const table = this.#required("table");
    return memorySink({ ...options, table, ...(schema === undefined ? {} : { columns: toSchema(schema) }) });
  }

  get #source(): MemorySource {
    return { ...this.options, stream: this.#required("stream") };
  }

  #required(option: "stream" | "table"): string {
    const name = this.options[option];
    if (name !== undefined) return name;
    const use = option === "stream" ? "read" : "write";
    throw new MillraceError("OPTIONS_INVALID", `memory cannot ${use} without the option ${option}`, {
      hint: `Set it where the pipeline has .format(Memory): .options({ ${option}: "name" }).`,
    });
  }
}
