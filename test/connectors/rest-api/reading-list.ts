import { toRecordBatches } from "../../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { RestApi, type RestApiOptions } from "../../../shared/connectors/rest-api/index.ts";
import { OPTIONS } from "../../../shared/connectors/rest-api/options.ts";
import type { Runtime } from "../../../shared/contract/context.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import type { MillraceError } from "../../../shared/contract/errors.ts";
import { type Api, failure, type Respond, runtimeAt, serve } from "../../support/api-server.ts";
import { withStores } from "../../support/runtime.ts";
import { task } from "./draining-reader.ts";

/** Reads a list as a batch, in one task. Returns its rows. */
export async function readList(
  options: RestApiOptions,
  runtime: Runtime = runtimeAt(0),
): Promise<Record<string, unknown>[]> {
  const api = new RestApi(OPTIONS.parse({ schema: "id int", ...options }), withStores(runtime));
  const schema = parseDdl(api.schema());
  const rows = await api.reader(schema).read(null, task);
  const batches = await Array.fromAsync(toRecordBatches(schema, rows, {}));
  return batches.flatMap((batch) => [...rowsOf(batch)]);
}

/** Starts an API and reads its list as a batch. Returns the ids. */
export async function idsOf(
  respond: Respond,
  options: Partial<RestApiOptions>,
): Promise<{ readonly api: Api; readonly ids: readonly unknown[] }> {
  const api = await serve(respond);
  const rows = await readList({ maxRetries: 0, ...options, url: api.url });
  return { api, ids: rows.map((row) => row["id"]) };
}

/** Starts an API and reads its list as a batch, which must fail. */
export async function listError(
  respond: Respond,
  options: Partial<RestApiOptions>,
): Promise<{ readonly api: Api; readonly error: MillraceError; readonly text: string }> {
  const api = await serve(respond);
  const error = await failure(() => readList({ maxRetries: 0, ...options, url: api.url }));
  return { api, error, text: `${error.message} ${error.hint}` };
}

/** Numbers from 0 up to, not including, `count`. */
export const upTo = (count: number): number[] => Array.from({ length: count }, (_, id) => id);
/** Records with the ids from `from` up to, not including, `to`. */
export const records = (from: number, to: number): { id: number }[] =>
  upTo(to)
    .slice(from)
    .map((id) => ({ id }));
