import { describe, expect, it } from "vitest";
import { RestApi, type RestApiOptions } from "../../../shared/connectors/rest-api/index.ts";
import { UNKNOWN_PLAN } from "../../../shared/contract/batch-identity.ts";
import type { BatchContext, TaskContext } from "../../../shared/contract/context.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import type { MillraceError } from "../../../shared/contract/errors.ts";
import { parseOptions } from "../../../shared/contract/options/parse.ts";
import type { SupportsTargetName } from "../../../shared/contract/stream-writer.ts";
import { failure, runtimeAt, serveRows } from "../../support/api-server.ts";
import { withStores } from "../../support/runtime.ts";
import { rowsUpTo, send, store, stored, streamed, taskOf, writerOf } from "./sending.ts";

describe("an open batch and changed options", () => {
  it("An open batch keeps rowsPerRequest and idempotencyKey, and the next batch has the new ones", async () => {
    let isBroken = true;
    const api = await serveRows((_asked, count) => (isBroken && count === 3 ? { status: 400 } : undefined));
    const task = { batchId: 2000 };
    await failure(() => send({ url: api.url, rowsPerRequest: 4 }, rowsUpTo(10), { task }));
    isBroken = false;
    const changed: RestApiOptions = { url: api.url, rowsPerRequest: 3, idempotencyKey: "content" };
    expect(await send(changed, rowsUpTo(10), { task })).toEqual({ requests: 3, rows: 10 });
    expect([api.rows, api.repeated.length]).toEqual([rowsUpTo(10), 2]);
    expect(await send(changed, rowsUpTo(10), { task: { batchId: 2001 } })).toEqual({ requests: 4, rows: 10 });
  });

  it("The errors of an open batch's requests name the file that keeps its first options", async () => {
    const api = await serveRows(() => ({ status: 413 }));
    const task = { batchId: 2002 };
    const first = await failure(() => send({ url: api.url, rowsPerRequest: 4 }, rowsUpTo(10), { task }));
    expect(first.hint).not.toContain("delete");
    const second = await failure(() => send({ url: api.url, rowsPerRequest: 2 }, rowsUpTo(10), { task }));
    expect(second).toMatchObject({ code: "HTTP_STATUS", where: { status: 413, row: 1 } });
    expect(second.hint).toContain("The batch keeps the rowsPerRequest (4)");
    const [key = ""] = await stored(taskOf(task));
    expect(second.hint).toContain(`delete ${store.location}/${key}:`);
    await store.delete([key]);
    await failure(() => send({ url: api.url, rowsPerRequest: 2 }, rowsUpTo(10), { task }));
    expect(JSON.parse(api.asked.at(-1)?.body ?? "")).toEqual(rowsUpTo(2));
  });

  it("An open batch that began with several rows per request cannot continue with single objects", async () => {
    const api = await serveRows(() => ({ status: 400 }));
    const task = { batchId: 2003 };
    await failure(() => send({ url: api.url }, rowsUpTo(2), { task }));
    const error = await failure(() => send({ url: api.url, body: "object" }, rowsUpTo(2), { task }));
    expect(error).toMatchObject({
      code: "OPTIONS_INVALID",
      message: expect.stringContaining("batch 2003 was begun with 100 rows a request"),
    });
    expect(api.asked).toHaveLength(1);
  });

  it("The kept options of an open batch stay until the batch after it is committed", async () => {
    const api = await serveRows();
    const writer = await writerOf({ url: api.url });
    const tasks = [2010, 2011].map((batchId) => taskOf({ batchId, planId: `plan-${batchId}` }));
    let follows: TaskContext | undefined;
    for (const task of tasks) {
      await writer.write(streamed(rowsUpTo(1)), task);
      const batch = { ...task, follows } as unknown as BatchContext;
      await writer.commit([], task.batchId, batch);
      // The engine may call `commit` twice for one batch.
      await writer.commit([], task.batchId, batch);
      follows = task;
    }
    expect((await Promise.all(tasks.map(stored))).map((keys) => keys.length)).toEqual([0, 1]);
  });

  it("The kept options of a batch are not those of another plan of the same id", async () => {
    const api = await serveRows();
    const task = { batchId: 2012 };
    await send({ url: api.url, rowsPerRequest: 1 }, rowsUpTo(2), { task: { ...task, planId: "a" } });
    await send({ url: api.url, rowsPerRequest: 3 }, rowsUpTo(3, 10), { task: { ...task, planId: "b" } });
    expect(api.asked).toHaveLength(3);
    expect(api.rows).toEqual([...rowsUpTo(2), ...rowsUpTo(3, 10)]);
  });

  it("The kept options of a batch that the older version began are used under their old key", async () => {
    const api = await serveRows();
    const task = taskOf({ batchId: 2013, planId: UNKNOWN_PLAN });
    const key = "staging/rest-api/first-life/000000002013.json";
    await store.put(key, Buffer.from('{"idempotencyKey":"position","rowsPerRequest":1}'));
    await send({ url: api.url, rowsPerRequest: 3 }, rowsUpTo(2), { task });
    expect(api.asked).toHaveLength(2);
    expect(await stored(task)).toEqual([key]);
  });
});

describe("options of a sink", () => {
  const invalid = (options: object): Promise<MillraceError> =>
    failure(() => writerOf({ url: "http://127.0.0.1:1/", ...options }));

  it.each<[object, string]>([
    [{ method: "GET" }, "method"],
    [{ rowsPerRequest: 0 }, "rowsPerRequest"],
    [{ body: "object", rowsPerRequest: 2 }, 'rowsPerRequest: Must be 1 where body is "object"'],
    [{ body: { row: "items" } }, 'body: Must be "array", "ndjson", "object" or { rows: … }'],
    [{ idempotencyHeader: "not a name" }, "idempotencyHeader"],
    [{ idempotencyKeys: "content" }, "did you mean idempotencyKey?"],
    [{ alreadyDone: [200] }, "alreadyDone.0"],
  ])("The options %o of a sink are refused", async (options, problem) => {
    expect(await invalid(options)).toMatchObject({
      code: "OPTIONS_INVALID",
      message: expect.stringContaining(problem),
    });
  });

  it("The options of a sink are refused with those of a source, and the other way round", async () => {
    const sink = await invalid({ pageSize: 10, timeRange: undefined, schema: "id int" });
    expect(sink).toMatchObject({
      code: "OPTIONS_INVALID",
      message: "RestApi is written to here, but schema, pageSize are for an API that is read from",
    });
    const options = { url: "http://127.0.0.1:1/", schema: "id int", rowsPerRequest: 10 };
    const api = new RestApi((await parseOptions(RestApi, options)) as never, withStores(runtimeAt(0)));
    const message = "RestApi is read from here, but rowsPerRequest is for an API that is written to";
    for (const reader of ["reader", "streamReader"] as const)
      expect(await failure(() => api[reader](parseDdl("id int")))).toMatchObject({ message });
  });

  it("The options of a sink cannot make it overwrite", async () => {
    const options = await parseOptions(RestApi, { url: "http://127.0.0.1:1/" });
    const api = new RestApi(options as never, withStores(runtimeAt(0)));
    expect(await failure(() => api.writer(parseDdl("id int"), true))).toMatchObject({
      code: "NOT_SUPPORTED",
      hint: expect.stringContaining('.mode("append")'),
    });
    expect(api.writer(parseDdl("id int"), false)).toBeDefined();
  });
});

describe("the name of the target", () => {
  it("The name of the target is the URL without query, user and password", async () => {
    const url = "https://user:secret@api.example.com/v1/rows?key=secret#part";
    const writer = (await writerOf({ url })) as unknown as SupportsTargetName;
    expect(await writer.targetName(taskOf())).toBe("https://api.example.com/v1/rows");
  });
});
