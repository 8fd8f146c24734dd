import { describe, expect, it } from "vitest";
import { RestApi, type RestApiOptions } from "../../../shared/connectors/rest-api/index.ts";
import type { MergeStreamOptions } from "../../../shared/contract/merge-stream.ts";
import { pipeline } from "../../../shared/contract/pipeline.ts";
import { runPipeline } from "../../../shared/testing/run-pipeline.ts";
import { type Api, type Asked, type Reply, serve } from "../../support/api-server.ts";
import { type Change, ChangeFeed, type ChangeSource, MERGE } from "../../support/changes.ts";

const upsert = (id: number, seq: number): Change => ({ id, v: `v${seq}`, seq, op: "upsert" });
const removal = (id: number, seq: number): Change => ({ id, v: null, seq, op: "delete" });

/** Starts an API of users. */
async function users(reply: (asked: Asked) => Reply | undefined = () => undefined): Promise<Api> {
  const api = await serve((asked) => reply(asked) ?? { status: 200, json: {} });
  return { ...api, url: api.url.replace("/items", "/users") };
}

function feedInto(options: RestApiOptions, merge: MergeStreamOptions = MERGE, ddl?: string): ChangeFeed {
  const to = (source: ChangeSource) => source.writeStream.format(RestApi).options(options);
  return new ChangeFeed(merge, { to, ...(ddl === undefined ? {} : { ddl }) });
}

const BOTH = { upsert: { url: "users/{id}" }, delete: { url: "users/{id}" } };

function brief({ asked }: Api): string[] {
  return asked.map(({ method, url }) => `${method} ${url.pathname}${url.search}`).sort();
}

describe("a stream of changes into an API", () => {
  it("Each key of a batch is sent once, by the method and the URL of its kind of change", async () => {
    const api = await users();
    const feed = feedInto({ url: api.url, query: { v: "2" }, changes: BOTH });
    await feed.merge([upsert(1, 1), upsert(1, 2), removal(2, 5), upsert(2, 4), upsert(3, 1)]);
    expect(brief(api)).toEqual(["DELETE /users/2?v=2", "PUT /users/1?v=2", "PUT /users/3?v=2"]);
    const put = api.asked.find(({ url }) => url.pathname === "/users/1");
    expect(JSON.parse(put?.body ?? "")).toEqual({ id: 1, v: "v2", seq: 2 });
    const removed = api.asked.find(({ method }) => method === "DELETE");
    expect(removed?.body).toBe("");
    expect(removed?.headers).not.toHaveProperty("content-type");
  });

  it("The sequence stands in URL, headers and body, also of a delete", async () => {
    const api = await users();
    const both = {
      method: "POST",
      url: "users/{id}?at={seq}",
      headers: { "x-sequence": "{__sequence}" },
      body: { user: { id: "{id}", text: "user {id}" }, at: ["{seq}"] },
    } as const;
    await feedInto({ url: api.url, changes: { upsert: both, delete: both } }).merge([
      upsert(1, 3),
      removal(2, 4),
    ]);
    expect(brief(api)).toEqual(["POST /users/1?at=3", "POST /users/2?at=4"]);
    const [one] = api.asked.filter(({ url }) => url.pathname === "/users/1");
    expect(one?.headers["x-sequence"]).toBe("018000000000000003");
    expect(JSON.parse(one?.body ?? "")).toEqual({ user: { id: 1, text: "user 1" }, at: [3] });
  });

  it("A change has one idempotency key, in whichever batch it is sent", async () => {
    const api = await users();
    const feed = feedInto({ url: api.url, changes: BOTH });
    await feed.merge([upsert(1, 1)]);
    await feed.merge([upsert(2, 7), upsert(1, 1)]);
    await feed.merge([removal(1, 1)]);
    const keys = api.asked
      .filter(({ url }) => url.pathname === "/users/1")
      .map(({ headers }) => headers["idempotency-key"]);
    expect(keys[0]).toMatch(/^[\da-f]{64}$/);
    expect(keys).toEqual([keys[0], keys[0], expect.not.stringMatching(keys[0] as string)]);
  });

  it("A delete of what is not there is done", async () => {
    for (const status of [404, 410]) {
      const api = await users(({ method }) => (method === "DELETE" ? { status } : undefined));
      const run = await feedInto({ url: api.url, changes: BOTH }).merge([removal(1, 1)]);
      expect(run.batches).toHaveLength(1);
    }
  });

  it("An upsert that the API refuses fails the batch without the key in its error", async () => {
    const api = await users(() => ({ status: 422 }));
    const error = await feedInto({ url: api.url, changes: BOTH })
      .merge([upsert(4711, 1)])
      .catch((thrown) => thrown);
    expect(error).toMatchObject({ code: "HTTP_STATUS", where: { status: 422 } });
    expect(error.message).toContain("/users/{id}");
    expect(JSON.stringify([error.message, error.where, error.hint])).not.toContain("4711");
  });

  it("A value stays within its step of the path", async () => {
    const ddl = "id string, seq int";
    const merge = { keys: ["id"], sequenceBy: "seq" };
    const api = await users();
    await feedInto({ url: api.url, changes: BOTH }, merge, ddl).merge([
      { id: "a/../b?c#{oauth2:token}", seq: 1 },
    ]);
    expect(brief(api)).toEqual(["PUT /users/a%2F..%2Fb%3Fc%23%7Boauth2%3Atoken%7D"]);
    for (const id of ["", ".", ".."]) {
      const feed = feedInto({ url: api.url, changes: BOTH }, merge, ddl);
      await expect(feed.merge([{ id, seq: 1 }])).rejects.toMatchObject({ code: "ROW_MISMATCH" });
    }
    expect(api.asked).toHaveLength(1);
  });

  it("A delete without changes.delete fails the batch", async () => {
    const api = await users();
    const feed = feedInto({ url: api.url, changes: { upsert: BOTH.upsert } });
    await expect(feed.merge([removal(1, 1)])).rejects.toMatchObject({ code: "OPTIONS_INVALID" });
  });

  it("Settings that cannot work are refused before anything is sent", async () => {
    const api = await users();
    const refused = async (changes: RestApiOptions["changes"], others: Partial<RestApiOptions> = {}) => {
      const options = { url: api.url, ...(changes === undefined ? {} : { changes }), ...others };
      return await feedInto(options)
        .merge([upsert(1, 1)])
        .catch((error) => error);
    };
    const invalid = { code: "OPTIONS_INVALID" };
    expect(await refused({ upsert: { url: "users/{ids}" } })).toMatchObject({
      ...invalid,
      message: expect.stringContaining("did you mean id?") as string,
    });
    expect(await refused({ ...BOTH, delete: { url: "users/{v}" } })).toMatchObject(invalid);
    expect(await refused({ upsert: { url: "https://elsewhere.example.com/{id}" } })).toMatchObject(invalid);
    expect(await refused({ upsert: { url: "https://{id}.example.com/" } })).toMatchObject(invalid);
    expect(await refused({ upsert: { url: "https://a b/{id}" } })).toMatchObject(invalid);
    expect(await refused(BOTH, { method: "PUT" })).toMatchObject(invalid);
    expect(await refused(undefined)).toMatchObject(invalid);
    const type2 = feedInto({ url: api.url, changes: BOTH }, { ...MERGE, storedAsScdType: 2 });
    await expect(type2.merge([upsert(1, 1)])).rejects.toMatchObject({ code: "WRITE_NOT_SUPPORTED" });
    const feed = new ChangeFeed();
    feed.stream.addData([upsert(1, 1)]);
    const { dataSource, options } = feed.pipeline.source;
    const plain = pipeline("rows-to-api")
      .readStream.format(dataSource as never)
      .options(options as never)
      .writeStream.format(RestApi)
      .options({ url: api.url, changes: BOTH });
    await expect(runPipeline(plain)).rejects.toMatchObject(invalid);
    expect(api.asked).toEqual([]);
  });
});
