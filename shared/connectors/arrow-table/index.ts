import type { Schema } from "apache-arrow";
import * as z from "zod";
import type { DataSourceReader } from "../../contract/batch-reader.ts";
import { DataSource } from "../../contract/data-source.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import type { OptionsSchema } from "../../contract/options/parse.ts";
import type { DataSourceStreamArrowWriter } from "../../contract/stream-writer.ts";
import type { SupportsWrite, TableCapability } from "../../contract/write/table.ts";
import type { OnSchemaChange } from "../../contract/write/write-info.ts";
import { type Disposition, WriterTable, writerOf } from "../../contract/write/writer-table.ts";
import { readHead } from "./log.ts";
import type { Operation } from "./log-entry.ts";
import { checkPartitionColumns } from "./partitioning.ts";
import { ArrowTableReader, type TableSlice } from "./reader.ts";
import type { SchemaChoice } from "./schema-change.ts";
import { readTableSchema } from "./table-schema.ts";
import { ArrowTableWriter, type TableRows } from "./writer.ts";

/** The location of the table. */
export interface ArrowTableOptions {
  /**
   * The table's folder, absolute or relative to the working directory. Default for a sink: the
   * folder `table` inside the pipeline's own folder. A source needs it.
   */
  readonly path?: string;
  /**
   * Sink: the columns by whose values the rows are divided into files, in folders such as
   * `data/…/day=2026-11-28/`. A batch can then replace the partitions that occur in its rows. The
   * table keeps these columns. Default: not divided.
   */
  readonly partitionBy?: readonly string[];
}

const name = z.string().min(1);
const OPTIONS = z.strictObject({
  path: name.optional(),
  partitionBy: z
    .array(name)
    .min(1)
    .refine((names) => new Set(names).size === names.length, { message: "names a column twice" })
    .optional(),
});

type ParsedOptions = z.output<typeof OPTIONS>;

const ICEBERG =
  "An Arrow table replaces all rows, or whole partitions with .overwritePartitions(). A table that replaces single rows is one of the Iceberg table format.";

const INSTEAD_OF: Readonly<Partial<Record<TableCapability, string>>> = {
  OVERWRITE_BY_FILTER: ICEBERG,
  OVERWRITE_DYNAMIC:
    'Set the option partitionBy of the sink, with which the table must have been made: partitionBy: ["column", …].',
};

function operationOf(replaces: Disposition["replaces"]): Operation {
  if (replaces === "none") return "append";
  if (replaces === "all") return "overwrite";
  if (replaces === "partitions") return "overwritePartitions";
  throw new MillraceError("WRITE_NOT_SUPPORTED", "an Arrow table is not overwritten by filter", {
    hint: ICEBERG,
  });
}

function choiceOf(onSchemaChange: OnSchemaChange = "fail"): SchemaChoice {
  if (onSchemaChange !== "ignore") return onSchemaChange;
  throw new MillraceError("WRITE_NOT_SUPPORTED", "an Arrow table leaves out no columns of the rows", {
    hint: 'Nothing was read or written. Remove `.onSchemaChange("ignore")` and leave the columns out of the schema, or add them: `.onSchemaChange("evolve")`.',
  });
}

/**
 * A table of Arrow IPC files with a commit log. It works as a sink and as a batch source. Each
 * batch is committed completely and exactly once, also after failures. The format is described in
 * docs/arrow-table.md. Error: `OPTIONS_INVALID`.
 */
export class ArrowTable extends DataSource<ParsedOptions> {
  /** The name for `.format("arrow-table")` once the class is registered. */
  static override readonly name: string = "arrow-table";
  /** The schema that validates `ArrowTableOptions`. */
  static readonly optionsSchema = OPTIONS as OptionsSchema<ArrowTableOptions, ParsedOptions>;

  /** Returns the schema of the newest commit. Error: `TABLE_NOT_FOUND`. */
  override async schema(): Promise<Schema> {
    const table = this.#table();
    const head = await readHead(table);
    if (head !== undefined) return await readTableSchema(table, head);
    throw new MillraceError("TABLE_NOT_FOUND", `there is no Arrow table in ${table.location}`, {
      where: { path: table.location },
      hint: "Check path: the table's folder has _log and data in it. Nothing was committed to it, or it lies elsewhere.",
    });
  }

  /** Returns a reader of all rows in the table. */
  override reader(schema: Schema): DataSourceReader<TableSlice> {
    return new ArrowTableReader(this.#table(), schema);
  }

  #table(): ObjectStore {
    const { path } = this.options;
    if (path !== undefined) return this.runtime.openStore(path);
    throw new MillraceError(
      "OPTIONS_INVALID",
      "arrow-table cannot use its options: path: needed to read a table",
      {
        hint: "Name the table's folder: of a pipeline here it is .millrace/<pipeline>/table.",
      },
    );
  }

  /**
   * Returns a table to which rows are appended, or whose rows are replaced: all with the schema, or
   * those of whole partitions.
   */
  override table(schema: Schema): SupportsWrite {
    const { partitionBy } = this.options;
    if (partitionBy !== undefined) checkPartitionColumns(schema, partitionBy);
    return new WriterTable({
      name: ArrowTable.name,
      capabilities: new Set<TableCapability>([
        "BATCH_WRITE",
        "STREAMING_WRITE",
        "TRUNCATE",
        "ACCEPT_ANY_SCHEMA",
        "AUTOMATIC_SCHEMA_EVOLUTION",
        ...(partitionBy === undefined ? [] : (["OVERWRITE_DYNAMIC"] as const)),
      ]),
      insteadOf: INSTEAD_OF,
      writer: ({ replaces }, info) => {
        const choice = choiceOf(info.onSchemaChange);
        return choice === "fail" && (replaces === "none" || replaces === "all")
          ? writerOf(this, info, replaces === "all")
          : this.#writer(schema, operationOf(replaces), choice);
      },
    });
  }

  /**
   * Returns the writer of `table` for a stream: it appends rows or, with `overwrite`, replaces all.
   */
  override streamWriter(schema: Schema, overwrite: boolean): DataSourceStreamArrowWriter<TableRows> {
    return this.#writer(schema, overwrite ? "overwrite" : "append");
  }

  /** Returns the writer of `table`: it appends rows or, with `overwrite`, replaces all. */
  override writer(schema: Schema, overwrite: boolean): DataSourceStreamArrowWriter<TableRows> {
    return this.#writer(schema, overwrite ? "overwrite" : "append");
  }

  #writer(schema: Schema, operation: Operation, onSchemaChange?: SchemaChoice): ArrowTableWriter {
    const { path, partitionBy } = this.options;
    return new ArrowTableWriter({ schema, operation, path, partitionBy, onSchemaChange }, this.runtime);
  }
}
