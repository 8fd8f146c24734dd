import { join } from "node:path";
import { exists, Home } from "../../local/home.ts";
import { loadPipeline } from "../../local/load-pipeline.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import { parseOptions } from "../../shared/contract/options/parse.ts";
import { STORE_FOLDER, TABLE_FOLDER } from "../../shared/contract/store-layout.ts";
import { isMetadataFile } from "./iceberg-table.ts";

/**
 * Returns the folder of the Arrow table that a command names: a pipeline's own table, a folder, or
 * the folder in the options of the pipeline's sink. `undefined` if there is none.
 */
export async function arrowTable(table: string, home: string): Promise<string | undefined> {
  if (isMetadataFile(table)) return undefined;
  const folders = new Home(home);
  const own = join(folders.pipelineFolder(table), STORE_FOLDER.table);
  const isTable = (folder: string) => exists(join(folder, TABLE_FOLDER.log));
  if (isTable(own)) return own;
  if (isTable(table)) return table;
  const entry = folders.entryOf(table);
  if (entry === undefined) return undefined;
  const { sink } = await loadPipeline(entry);
  const { path } = (await parseOptions(sink.dataSource, sink.options)) as { readonly path?: unknown };
  return typeof path === "string" && (isUrl(path) || isTable(path)) ? path : undefined;
}

function isUrl(path: string): boolean {
  return /^[a-z][a-z0-9+.-]+:/i.test(path);
}

/** Refuses a flag that is only for Iceberg tables. Error: `USAGE`. */
export function refuseFlag(flag: string, value: unknown, table: string): void {
  if (value === undefined) return;
  throw new MillraceError("USAGE", `${table} is an Arrow table, to which ${flag} does not apply`, {
    hint: `Leave ${flag} out: an Arrow table has neither snapshots nor bounds.`,
  });
}
