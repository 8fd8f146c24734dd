import type { RestApiOptions } from "../../../shared/connectors/rest-api/index.ts";
import type { Runtime } from "../../../shared/contract/context.ts";
import type { MillraceError } from "../../../shared/contract/errors.ts";
import { type Api, failure, type Reply, type Respond, runtimeAt, serve } from "../../support/api-server.ts";
import { rowsIn } from "./draining-reader.ts";

/** Reads a list that has a single page. Returns its rows, of which there are `count`. */
export async function read(
  reply: Reply | Respond,
  more: Partial<RestApiOptions> = {},
  runtime: Runtime = runtimeAt(0),
  count = 1,
) {
  const api = await serve(typeof reply === "function" ? reply : () => reply);
  const options: RestApiOptions = {
    url: api.url,
    schema: "id bigint",
    pagination: { type: "none" },
    ...more,
  };
  return { api, rows: rowsIn(options, { page: null, from: 0, to: count }, runtime) };
}
export const failed = async (...args: Parameters<typeof read>): Promise<MillraceError & { api: Api }> => {
  const { api, rows } = await read(...args);
  return Object.assign(await failure(() => rows), { api });
};
