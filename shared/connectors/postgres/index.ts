import type { Schema } from "apache-arrow";
import type { DataSourceReader } from "../../contract/batch-reader.ts";
import { DataSource } from "../../contract/data-source.ts";
import { loadingFirst } from "../../contract/optional-package.ts";
import type { OptionsSchema } from "../../contract/options/parse.ts";
import type { DataSourceStreamReader } from "../../contract/stream-reader.ts";
import type { DataSourceStreamArrowWriter } from "../../contract/stream-writer.ts";
import type { TableCapability } from "../../contract/write/table.ts";
import type { OnSchemaChange } from "../../contract/write/write-info.ts";
import { type WriterTableParts, writerOf } from "../../contract/write/writer-table.ts";
import { loadDriver, Server } from "../kit/postgres/connection.ts";
import { environmentOf } from "../kit/secrets.ts";
import type { StagedRows } from "../kit/staging.ts";
import { PostgresReader } from "./batch-reader.ts";
import { OPTIONS, type ParsedOptions, type PostgresOptions } from "./options.ts";
import { type Replaced, replacedBy } from "./replace.ts";
import { choiceOf } from "./schema-change.ts";
import { PostgresStreamReader } from "./stream-reader.ts";
import { readTable, schemaOf } from "./table.ts";
import { PostgresTable } from "./writable-table.ts";
import { PostgresWriter } from "./writer.ts";

export type { PostgresConnection, PostgresTls } from "../kit/postgres/server-options.ts";
export type { FromEnvironment } from "../kit/secrets.ts";
export type { PostgresOptions } from "./options.ts";

/**
 * A PostgreSQL table. As a source it reads new rows (stream) or all rows (batch). As a sink it
 * appends or upserts each batch in one transaction. Guide: docs/postgres.md. Error:
 * `OPTIONS_INVALID`.
 */
export class Postgres extends DataSource<ParsedOptions> {
  /** The name for `.format("postgres")` once the class is registered. */
  static override readonly name: string = "postgres";
  /** The schema that validates `PostgresOptions`. */
  static readonly optionsSchema: OptionsSchema<PostgresOptions, ParsedOptions> = loadingFirst(
    OPTIONS as OptionsSchema<PostgresOptions, ParsedOptions>,
    loadDriver,
  );

  /**
   * Returns the schema of the table's columns or, if set, of the option `columns`. Errors:
   * `POSTGRES_FAILED`, `POSTGRES_TABLE_MISMATCH`.
   */
  override async schema(): Promise<Schema> {
    const { table, columns } = this.options;
    return schemaOf(await this.#server.use((session) => readTable(session, table)), columns);
  }

  /** Returns the columns by which a person knows a row: those of the key. */
  override keyColumns(): readonly string[] {
    return this.options.keyColumns ?? [];
  }

  /** Returns the names of the variables that the options name as `{ env: "NAME" }`. */
  override requiredEnvironment(): readonly string[] {
    return environmentOf(this.options);
  }

  /** Returns a batch reader of all rows. */
  override reader(schema: Schema): DataSourceReader<unknown> {
    return new PostgresReader(schema, this.options, this.#server);
  }

  /** Returns a stream reader of new rows. */
  override streamReader(schema: Schema): DataSourceStreamReader<object, unknown> {
    return new PostgresStreamReader(schema, this.options, this.#server, this.runtime);
  }

  /**
   * Returns a table to which rows are appended or upserted, and whose rows can be changed, deleted
   * and merged. Whatever a batch does is done in one transaction.
   */
  override table(schema: Schema): PostgresTable {
    const { partitionBy } = this.options;
    const table: WriterTableParts = {
      name: Postgres.name,
      capabilities: new Set<TableCapability>([
        "BATCH_READ",
        "BATCH_WRITE",
        "STREAMING_WRITE",
        "TRUNCATE",
        "OVERWRITE_BY_FILTER",
        "ACCEPT_ANY_SCHEMA",
        "AUTOMATIC_SCHEMA_EVOLUTION",
        ...(partitionBy === undefined ? [] : (["OVERWRITE_DYNAMIC"] as const)),
      ]),
      insteadOf: {
        OVERWRITE_DYNAMIC: 'Set the option partitionBy of the sink: partitionBy: ["column", …].',
      },
      writer: (disposition, info) => {
        const { onSchemaChange } = info;
        const isPlain = disposition.replaces === "none" || disposition.replaces === "all";
        return isPlain && choiceOf(onSchemaChange) === "fail"
          ? writerOf(this, info, disposition.replaces === "all")
          : this.#writer(schema, replacedBy(disposition), onSchemaChange);
      },
    };
    const parts = { options: this.options, server: this.#server, runtime: this.runtime };
    return new PostgresTable(table, parts, this.#writer(schema, { replaces: "none" }));
  }

  /**
   * Returns the writer of `table`: it appends or upserts rows or, with `overwrite`, replaces all.
   */
  override writer(schema: Schema, overwrite: boolean): DataSourceStreamArrowWriter<StagedRows> {
    return this.#writer(schema, { replaces: overwrite ? "all" : "none" });
  }

  /** Returns the writer of `table` that appends or upserts rows. */
  override streamWriter(schema: Schema, overwrite: boolean): DataSourceStreamArrowWriter<StagedRows> {
    return this.writer(schema, overwrite);
  }

  #writer(schema: Schema, replaced: Replaced, onSchemaChange?: OnSchemaChange): PostgresWriter {
    const { options, runtime } = this;
    return new PostgresWriter({ schema, options, replaced, onSchemaChange, server: this.#server, runtime });
  }

  get #server(): Server {
    return new Server("Postgres", this.options, this.runtime);
  }
}
