import type { Schema } from "apache-arrow";
import * as z from "zod";
import { DataSource } from "../../contract/data-source.ts";
import type { DataSourceStreamArrowWriter } from "../../contract/stream-writer.ts";
import { parseOptions } from "../options.ts";
import type { StagedFile } from "./log.ts";
import { ArrowTableWriter } from "./writer.ts";

/** Where the table lies. */
export interface ArrowTableOptions {
  /** The table's folder, absolute or relative to the working directory. Default: `table` in the pipeline's own folder. */
  readonly path?: string;
}

const OPTIONS = z.strictObject({ path: z.string().min(1).optional() });

/**
 * A table of Arrow IPC files with a log of commits, as a sink that appends: each batch lands whole and once, whatever
 * fails. The format is in docs/arrow-table.md. Error: `OPTIONS_INVALID`.
 */
export class ArrowTable extends DataSource<ArrowTableOptions> {
  /** For `.format("arrow-table")`, once it is registered. */
  static override readonly name: string = "arrow-table";

  /** A writer that appends. */
  override streamWriter(schema: Schema, _overwrite: boolean): DataSourceStreamArrowWriter<StagedFile> {
    const { path } = parseOptions("ArrowTable", OPTIONS, this.options);
    return new ArrowTableWriter(schema, path, this.runtime);
  }
}
