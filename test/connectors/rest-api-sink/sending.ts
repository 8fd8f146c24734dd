import { RestApi, type RestApiOptions, type Sent } from "../../../shared/connectors/rest-api/index.ts";
import type { DataSourceRuntime, Runtime, TaskContext } from "../../../shared/contract/context.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { parseOptions } from "../../../shared/contract/options/parse.ts";
import type { DataSourceStreamWriter } from "../../../shared/contract/stream-writer.ts";
import { DirectoryStore } from "../../../shared/platform/embedded/directory-store.ts";
import { type JsonRow, runtimeAt } from "../../support/api-server.ts";
import { withStores } from "../../support/runtime.ts";

export const rowsUpTo = (count: number, from = 0): JsonRow[] =>
  Array.from({ length: count }, (_, i) => ({ id: from + i, word: `word ${from + i}` }));

export async function writerOf(
  options: RestApiOptions,
  runtime: Runtime = runtimeAt(0),
): Promise<DataSourceStreamWriter<Sent>> {
  const parsed = await parseOptions(RestApi, { ...options });
  const api = new RestApi(parsed as never, withStores(runtime));
  return api.streamWriter(parseDdl("id bigint, word string"), false);
}

export const store: DataSourceRuntime["store"] = withStores(runtimeAt(0)).store;
let batches = 0;

/** Returns the context of a task. By default the task belongs to a new batch. */
export function taskOf(over: Partial<TaskContext> = {}): TaskContext {
  return {
    pipeline: "orders",
    incarnation: "first-life",
    store,
    openStore: (location) => new DirectoryStore(location),
    batchId: batches++,
    planId: "plan-1",
    attempt: 1,
    partitionId: 0,
    attemptNumber: 0,
    signal: new AbortController().signal,
    ...over,
  };
}

export async function* streamed(rows: readonly JsonRow[]): AsyncGenerator<JsonRow> {
  yield* rows;
}

/** Writes one partition with a new writer, as in a task. */
export async function send(
  options: RestApiOptions,
  rows: readonly JsonRow[],
  over: { readonly task?: Partial<TaskContext>; readonly runtime?: Runtime } = {},
): Promise<Sent> {
  const writer = await writerOf(options, over.runtime);
  return (await writer.write(streamed(rows), taskOf(over.task))) as Sent;
}

/** Returns the keys in the store that belong to a task's batch. */
export async function stored({ incarnation, batchId }: TaskContext): Promise<string[]> {
  const prefix = `staging/rest-api/${incarnation}/${String(batchId).padStart(12, "0")}`;
  return (await Array.fromAsync(store.list(prefix))).map(({ key }) => key);
}
