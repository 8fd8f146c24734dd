import { toRecordBatches } from "../../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { RestApi, type RestApiOptions } from "../../../shared/connectors/rest-api/index.ts";
import { OPTIONS } from "../../../shared/connectors/rest-api/options.ts";
import type { Runtime, TaskContext } from "../../../shared/contract/context.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { ReadAllAvailable } from "../../../shared/contract/read-limit.ts";
import type {
  DataSourceStreamReader,
  SupportsTriggerAvailableNow,
} from "../../../shared/contract/stream-reader.ts";
import { runtimeAt } from "../../support/api-server.ts";
import { withStores } from "../../support/runtime.ts";

type Reader = DataSourceStreamReader<object, unknown> &
  Required<SupportsTriggerAvailableNow> & { prepareForTriggerAvailableNow(): void };
export const task = { signal: new AbortController().signal } as TaskContext;
const json = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

export function readerOf(options: RestApiOptions, runtime: Runtime = runtimeAt(0)): Reader {
  const api = new RestApi(OPTIONS.parse(options), withStores(runtime));
  return api.streamReader(parseDdl(api.schema())) as Reader;
}

/** Reads a partition with a new reader, as in a task. */
export async function rowsIn(
  options: RestApiOptions,
  partition: unknown,
  runtime?: Runtime,
): Promise<Record<string, unknown>[]> {
  const rows = await readerOf(options, runtime).read(json(partition), task);
  const batches = await Array.fromAsync(toRecordBatches(parseDdl(options.schema ?? ""), rows, {}));
  return batches.flatMap((batch) => [...rowsOf(batch)]);
}

export interface Drained {
  readonly end: object;
  readonly rows: readonly Record<string, unknown>[];
  /** The number of rows in each partition of each batch. */
  readonly batches: readonly (readonly number[])[];
  readonly offsets: readonly object[];
  readonly partitions: readonly unknown[];
}

/**
 * Runs batches until there is no new data. Offsets and partitions are converted to JSON and back,
 * as in the engine.
 */
export async function drain(
  options: RestApiOptions,
  given: { reader?: Reader; start?: object; runtime?: Runtime; after?: () => void } = {},
): Promise<Drained> {
  const reader = given.reader ?? readerOf(options, given.runtime);
  let start = given.start ?? json(await reader.initialOffset());
  const drained = {
    rows: [] as Record<string, unknown>[],
    batches: [] as number[][],
    offsets: [start],
    partitions: [] as unknown[],
  };
  for (;;) {
    const end = json(await reader.latestOffset(start, new ReadAllAvailable()));
    if (JSON.stringify(end) === JSON.stringify(start)) return { end, ...drained };
    const partitions = json(await reader.partitions(start, end));
    const perPartition = await Promise.all(
      partitions.map((partition) => rowsIn(options, partition, given.runtime)),
    );
    drained.rows.push(...perPartition.flat());
    drained.batches.push(perPartition.map((rows) => rows.length));
    drained.partitions.push(...partitions);
    drained.offsets.push(end);
    start = end;
    given.after?.();
  }
}
