import type { Schema } from "apache-arrow";
import * as z from "zod";
import { DataSource } from "../../contract/data-source.ts";
import type { OptionsSchema } from "../../contract/options.ts";
import type { DataSourceStreamArrowWriter } from "../../contract/stream-writer.ts";
import type { StagedFile } from "./log.ts";
import { ArrowTableWriter } from "./writer.ts";

/** Where the table lies. */
export interface ArrowTableOptions {
  /** The table's folder, absolute or relative to the working directory. Default: `table` in the pipeline's own folder. */
  readonly path?: string;
}

const OPTIONS = z.strictObject({ path: z.string().min(1).optional() });

type ParsedOptions = z.output<typeof OPTIONS>;

/**
 * A table of Arrow IPC files with a log of commits, as a sink: each batch lands whole and once, whatever
 * fails. The format is in docs/arrow-table.md. Error: `OPTIONS_INVALID`.
 */
export class ArrowTable extends DataSource<ParsedOptions> {
  /** For `.format("arrow-table")`, once it is registered. */
  static override readonly name: string = "arrow-table";
  /** See `ArrowTableOptions`. */
  static readonly optionsSchema = OPTIONS as OptionsSchema<ArrowTableOptions, ParsedOptions>;

  /** A writer that appends. */
  override streamWriter(schema: Schema, _overwrite: boolean): DataSourceStreamArrowWriter<StagedFile> {
    return new ArrowTableWriter(schema, "append", this.options.path, this.runtime);
  }

  /** A writer that appends, or takes the place of all rows, and of the schema. */
  override writer(schema: Schema, overwrite: boolean): DataSourceStreamArrowWriter<StagedFile> {
    return new ArrowTableWriter(schema, overwrite ? "overwrite" : "append", this.options.path, this.runtime);
  }
}
