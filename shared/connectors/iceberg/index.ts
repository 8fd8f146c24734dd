import type { Schema } from "apache-arrow";
import type { DataSourceReader } from "../../contract/batch-reader.ts";
import { DataSource } from "../../contract/data-source.ts";
import { MillraceError } from "../../contract/errors.ts";
import { loadingFirst } from "../../contract/optional-package.ts";
import type { OptionsSchema } from "../../contract/options/parse.ts";
import type { SupportsWrite } from "../../contract/write/table.ts";
import { environmentOf } from "../kit/secrets.ts";
import type { FileIo } from "./file-io.ts";
import { arrowSchemaOf } from "./format/arrow-schema.ts";
import { currentSchema } from "./format/metadata.ts";
import type { TableMetadata } from "./format/types.ts";
import { type IcebergOptions, OPTIONS, type ParsedOptions } from "./options.ts";
import { loadPackages } from "./packages.ts";
import { IcebergReader, type SnapshotSlice } from "./read/reader.ts";
import { filesOf, sinkParts, withCatalog } from "./sink/open-table.ts";
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
    loadPackages,
  );

  /** Returns the current columns of the table. Errors: `TABLE_NOT_FOUND`, those of the catalog. */
  override async schema(): Promise<Schema> {
    return arrowSchemaOf(currentSchema((await this.#load()).metadata));
  }

  /** Returns the names of the variables that the options name as `{ env: "NAME" }`. */
  override requiredEnvironment(): readonly string[] {
    return environmentOf(this.options);
  }

  /** Returns a reader of all rows of the newest snapshot. */
  override reader(schema: Schema): DataSourceReader<SnapshotSlice> {
    return new IcebergReader(schema, () => this.#load());
  }

  async #load(): Promise<{ readonly metadata: TableMetadata; readonly io: FileIo }> {
    const { options } = this;
    const parts = sinkParts(options, this.runtime);
    return await withCatalog(parts, async ({ catalog, identifier }) => {
      const loaded = await catalog.loadTable(identifier);
      if (loaded !== undefined) return { metadata: loaded.metadata, io: filesOf(parts, loaded) };
      throw new MillraceError(
        "TABLE_NOT_FOUND",
        `there is no table ${options.table} in ${catalog.description}`,
        { hint: "Check the options table and catalog. A pipeline with this table as its sink creates it." },
      );
    });
  }

  /**
   * Returns a table to which rows are appended, or whose rows are replaced: all, or those of whole
   * partitions.
   */
  override table(_schema: Schema): SupportsWrite {
    return new IcebergSink(sinkParts(this.options, this.runtime));
  }
}
