import { join } from "node:path";
import type { RecordBatch } from "apache-arrow";
import { exists, Home, openStore } from "../../local/home.ts";
import { loadPipeline } from "../../local/load-pipeline.ts";
import { rowsOf } from "../../shared/arrow/rows.ts";
import { readTable } from "../../shared/connectors/arrow-table/read.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import { parseOptions } from "../../shared/contract/options/parse.ts";
import { STORE_FOLDER, TABLE_FOLDER } from "../../shared/contract/store-layout.ts";
import { drained, printable, printLine } from "../render/terminal.ts";
import { TableLayout } from "../render/text.ts";

/** Number of rows from which the column widths are computed. */
const SAMPLE = 1000;
/** Fewer rows are taken if they have more characters than this. */
const SAMPLE_CHARACTERS = 4 * 1024 * 1024;

interface CatFlags {
  readonly home: string;
  readonly limit?: number;
  readonly json?: boolean;
}

/**
 * `millrace cat`: prints rows of an Arrow table in the order of its commits. `table` is the table's
 * folder or the name of a pipeline in the home.
 */
export async function catCommand(table: string, flags: CatFlags): Promise<void> {
  const rows = firstRows(
    readTable(openStore(await locate(table, flags.home))),
    flags.limit ?? Number.POSITIVE_INFINITY,
  );
  for await (const line of flags.json ? jsonLines(rows) : tableLines(rows)) {
    if (!printLine(line)) await drained();
  }
}

type JsonRow = Record<string, unknown>;

async function* firstRows(batches: AsyncIterable<RecordBatch>, limit: number): AsyncGenerator<JsonRow> {
  let left = limit;
  for await (const batch of batches) {
    for (const row of rowsOf(batch)) {
      if (left-- <= 0) return;
      yield row;
    }
  }
}

async function* jsonLines(rows: AsyncIterable<JsonRow>): AsyncGenerator<string> {
  for await (const row of rows) yield JSON.stringify(row, nonFiniteToText);
}

/**
 * Replaces NaN and infinities, which JSON does not have, by their names, as Spark's `to_json` does.
 */
function nonFiniteToText(_key: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}

async function* tableLines(rows: AsyncIterable<JsonRow>): AsyncGenerator<string> {
  let sample: JsonRow[] = [];
  let characters = 0;
  let layout: TableLayout | undefined;
  function* flush(): Generator<string> {
    const cells = sample.map((row) => Object.values(row).map(cellOf));
    if (layout === undefined && sample[0] !== undefined) {
      layout = new TableLayout(Object.keys(sample[0]).map(printable), cells);
      yield* layout.head();
    }
    for (const row of cells) yield layout?.line(row) ?? "";
    sample = [];
    characters = 0;
  }
  for await (const row of rows) {
    sample.push(row);
    for (const value of Object.values(row)) characters += typeof value === "string" ? value.length : 0;
    if (sample.length === SAMPLE || characters >= SAMPLE_CHARACTERS) yield* flush();
  }
  yield* flush();
}

/**
 * Finds the table's folder: the pipeline's own table, a folder, or the folder in the options of the
 * pipeline's sink.
 */
async function locate(table: string, home: string): Promise<string> {
  const folders = new Home(home);
  const own = join(folders.pipelineFolder(table), STORE_FOLDER.table);
  const isTable = (folder: string) => exists(join(folder, TABLE_FOLDER.log));
  if (isTable(own)) return own;
  if (isTable(table)) return table;
  const entry = folders.entryOf(table);
  if (entry !== undefined) {
    const { sink } = await loadPipeline(entry);
    const { path } = (await parseOptions(sink.dataSource, sink.options)) as { readonly path?: unknown };
    if (typeof path === "string" && (isUrl(path) || isTable(path))) return path;
  }
  throw new MillraceError(
    "TABLE_NOT_FOUND",
    `there is no Arrow table at ${table}, and no pipeline of that name has one in ${home}`,
    {
      hint: "Name the table's folder, the one that holds _log, or a pipeline that has committed a batch to an Arrow table.",
    },
  );
}

function isUrl(path: string): boolean {
  return /^[a-z][a-z0-9+.-]+:/i.test(path);
}

function cellOf(value: unknown): string {
  if (value === null) return "";
  return printable(typeof value === "object" ? JSON.stringify(value, nonFiniteToText) : String(value));
}
