import type { RecordBatch } from "apache-arrow";
import { openStore } from "../../local/home.ts";
import { rowsOf } from "../../shared/arrow/rows.ts";
import { readTable } from "../../shared/connectors/arrow-table/read.ts";
import { readSnapshot } from "../../shared/connectors/iceberg/read/read-snapshot.ts";
import { optional } from "../../shared/contract/optional.ts";
import { drained, printable, printLine } from "../render/terminal.ts";
import { TableLayout } from "../render/text.ts";
import { arrowTable, refuseFlag } from "../targets/arrow-table.ts";
import { filesOf, withIcebergTable } from "../targets/iceberg-table.ts";

/** Number of rows from which the column widths are computed. */
const SAMPLE = 1000;
/** Fewer rows are taken if they have more characters than this. */
const SAMPLE_CHARACTERS = 4 * 1024 * 1024;

interface CatFlags {
  readonly home: string;
  readonly limit?: number;
  readonly snapshot?: bigint;
  readonly json?: boolean;
}

/**
 * `millrace cat`: prints rows of an Arrow table in the order of its commits, or of an Iceberg
 * table. `table` is an Arrow table's folder, a pipeline, or what `withIcebergTable` takes.
 */
export async function catCommand(table: string, flags: CatFlags): Promise<void> {
  const folder = await arrowTable(table, flags.home);
  if (folder !== undefined) {
    refuseFlag("--snapshot", flags.snapshot, table);
    await print(readTable(openStore(folder)), flags);
    return;
  }
  await withIcebergTable(table, flags.home, async (iceberg) => {
    const loaded = await iceberg.load();
    const options = optional("snapshotId", flags.snapshot);
    await print(readSnapshot(filesOf(loaded), loaded.metadata, options), flags);
  });
}

async function print(batches: AsyncIterable<RecordBatch>, flags: CatFlags): Promise<void> {
  const rows = firstRows(batches, flags.limit ?? Number.POSITIVE_INFINITY);
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

function cellOf(value: unknown): string {
  if (value === null) return "";
  return printable(typeof value === "object" ? JSON.stringify(value, nonFiniteToText) : String(value));
}
