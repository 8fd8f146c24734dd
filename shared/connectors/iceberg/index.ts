import type { Schema } from "apache-arrow";
import { DataSource } from "../../contract/data-source.ts";
import { loadingFirst } from "../../contract/optional-package.ts";
import type { OptionsSchema } from "../../contract/options/parse.ts";
import type { SupportsWrite } from "../../contract/write/table.ts";
import { loadParquetWriter } from "./files/parquet-wasm.ts";
import { type IcebergOptions, OPTIONS, type ParsedOptions } from "./options.ts";
import { IcebergSink } from "./sink/table.ts";

export type { IcebergOptions } from "./options.ts";

/**
 * A table of Apache Iceberg, which DuckDB, Athena, Spark, Trino, Snowflake and pandas read. Each
 * batch is one snapshot and is committed exactly once. Guide: docs/iceberg.md. Errors:
 * `OPTIONS_INVALID`, `DEPENDENCY_MISSING`.
 */
export class Iceberg extends DataSource<ParsedOptions> {
  /** The name for `.format("iceberg")` once the class is registered. */
  static override readonly name: string = "iceberg";
  /** The schema that validates `IcebergOptions`. */
  static readonly optionsSchema: OptionsSchema<IcebergOptions, ParsedOptions> = loadingFirst(
    OPTIONS,
    loadParquetWriter,
  );

  /**
   * Returns a table to which rows are appended, or whose rows are replaced: all, or those of whole
   * partitions.
   */
  override table(_schema: Schema): SupportsWrite {
    return new IcebergSink({ options: this.options, runtime: this.runtime });
  }
}
