import { describe, expect, it } from "vitest";
import { exitCodeOf } from "../../../cli/exit-codes.ts";
import { Iceberg } from "../../../shared/connectors/iceberg/index.ts";
import { Memory } from "../../../shared/connectors/memory/index.ts";
import { Postgres } from "../../../shared/connectors/postgres/index.ts";
import { RestApi } from "../../../shared/connectors/rest-api/index.ts";
import { DataSource } from "../../../shared/contract/data-source.ts";
import { type Pipeline, pipeline } from "../../../shared/contract/pipeline.ts";
import { SqliteLedger } from "../../../shared/platform/embedded/sqlite-ledger.ts";
import { runPipeline } from "../../../shared/testing/index.ts";
import { Surroundings } from "../../../shared/testing/surroundings.ts";
import { serve } from "../../support/api-server.ts";

const from = (name: string) => ({ env: name });
const list = (url: string) => ({ url, schema: "id bigint" });
const memory = { table: "t" };

/** A data source of a user, which needs a variable. */
class Mine extends DataSource {
  override readonly schema = () => "n bigint";
  override readonly requiredEnvironment = () => ["MY_KEY", "MY_OTHER"];
}

/** Pipelines that need a variable which is not set, from a list at `url`. */
const PIPELINES: readonly [string, readonly string[], (url: string) => { name: string }][] = [
  [
    "RestApi as a source, in a stream",
    ["TOKEN", "KEY"],
    (url) =>
      pipeline("p")
        .readStream.format(RestApi)
        .options({ ...list(url), bearerToken: from("TOKEN"), query: { key: from("KEY"), plain: "a" } })
        .writeStream.format(Memory)
        .options(memory),
  ],
  [
    "RestApi as a source, in a batch",
    ["CLIENT"],
    (url) =>
      pipeline("p")
        .read.format(RestApi)
        .options({
          ...list(url),
          oauth2: { tokenUrl: url, clientId: "me", clientSecret: from("CLIENT") },
        })
        .load()
        .write.format(Memory)
        .options(memory)
        .mode("append"),
  ],
  [
    "RestApi as a sink",
    ["HEADER"],
    (url) =>
      pipeline("p")
        .readStream.format(RestApi)
        .options(list(url))
        .writeStream.format(RestApi)
        .options({ url, headers: { "x-key": from("HEADER") } }),
  ],
  [
    "Postgres as a source",
    ["PG_URL"],
    () =>
      pipeline("p")
        .readStream.format(Postgres)
        .options({ url: from("PG_URL"), table: "t", cursorColumn: "id" })
        .writeStream.format(Memory)
        .options(memory),
  ],
  [
    "Postgres as a sink",
    ["PG_PASSWORD"],
    (url) =>
      pipeline("p")
        .readStream.format(RestApi)
        .options(list(url))
        .writeStream.format(Postgres)
        .options({ connection: { host: "127.0.0.1" }, password: from("PG_PASSWORD"), table: "t" }),
  ],
  [
    "Iceberg as a sink",
    ["CATALOG_TOKEN"],
    (url) =>
      pipeline("p")
        .readStream.format(RestApi)
        .options(list(url))
        .writeStream.format(Iceberg)
        .options({ table: "a.b", catalog: { type: "rest", uri: url, token: from("CATALOG_TOKEN") } }),
  ],
  [
    "a user's data source",
    ["MY_KEY", "MY_OTHER"],
    () => pipeline("p").readStream.format(Mine).writeStream.format(Memory).options(memory),
  ],
];

describe("environment variables that a run needs", () => {
  it.each(PIPELINES)(
    "A run ends before any request and before anything is planned if a variable of %s is not set",
    async (_name, variables, made) => {
      const api = await serve(() => ({ json: [{ id: 1 }] }));
      const ledger = new SqliteLedger(":memory:");
      const state = { ledger, surroundings: new Surroundings({}) };
      const earlier = { batches: [], rows: [], quarantine: [], store: state.surroundings.store, state };
      const error: unknown = await runPipeline(made(api.url) as Pipeline, { after: earlier }).catch(
        (thrown: unknown) => thrown,
      );
      expect(error).toMatchObject({ code: "SECRET_MISSING", where: { pipeline: "p" } });
      for (const variable of variables) expect((error as Error).message).toContain(variable);
      expect(exitCodeOf(error)).toBe(2);
      expect(api.asked).toEqual([]);
      expect(await ledger.head("p")).toBeUndefined();
    },
  );

  it("A variable that is set to nothing counts as not set, and one that is set is not named", async () => {
    const made = PIPELINES[0]?.[2]("http://127.0.0.1:1/") as Pipeline;
    await expect(runPipeline(made, { env: { TOKEN: "", KEY: "k" } })).rejects.toMatchObject({
      code: "SECRET_MISSING",
      message: expect.not.stringContaining("KEY") as string,
    });
  });
});
