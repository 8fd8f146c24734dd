import { Schema } from "apache-arrow";
import type { Runtime } from "../../contract/context.ts";
import { isPlainObject } from "../../contract/json.ts";
import { firstNames, pathReader } from "../kit/json-path.ts";
import type { RestClient } from "./client.ts";
import { pathOf } from "./column-paths.ts";
import type { SourceOptions } from "./options.ts";
import { FIRST_PLACE, type Page, Pages } from "./pages.ts";
import { TimeRangeReader } from "./time-range-reader.ts";
import { walk } from "./walk.ts";

/**
 * Yields the records of the list from its beginning, without a schema. Columns with a path are in
 * the place of what their paths begin with.
 */
export async function* sampleRecords(
  options: SourceOptions,
  client: RestClient,
  runtime: Runtime,
): AsyncGenerator<object> {
  const toRow = recordReader(options.columns);
  for await (const { records } of pagesOf(options, client, runtime))
    for (const record of records) if (isPlainObject(record)) yield toRow(record);
}

async function* pagesOf(
  options: SourceOptions,
  client: RestClient,
  runtime: Runtime,
): AsyncGenerator<Pick<Page, "records">> {
  const { timeRange } = options;
  if (timeRange === undefined) {
    yield* walk(new Pages(options, client), FIRST_PLACE);
    return;
  }
  const reader = new TimeRangeReader(new Schema([]), options, timeRange, client, runtime);
  const start = reader.initialOffset();
  for (const range of reader.partitions(start, reader.latestOffset(start))) yield* reader.pagesOf(range);
}

function recordReader(
  columns: SourceOptions["columns"],
): (record: Readonly<Record<string, unknown>>) => object {
  const paths = Object.entries(columns).map(([name, column]) => [name, pathOf(column).path] as const);
  const readers = paths.map(([name, path]) => [name, pathReader(path, name)] as const);
  const begun = new Set(paths.flatMap(([, path]) => firstNames(path)));
  if (readers.length === 0) return (record) => record;
  return (record) => ({
    ...Object.fromEntries(Object.entries(record).filter(([name]) => !begun.has(name))),
    ...Object.fromEntries(readers.map(([name, read]) => [name, read(record)])),
  });
}
