import { ReceiveMessageCommand, type ReceiveMessageCommandOutput } from "@aws-sdk/client-sqs";
import { describe, expect, it } from "vitest";
import { runtime as realRuntime } from "../../../local/home.ts";
import type { QueueOffset } from "../../../shared/connectors/sqs/batches.ts";
import { Sqs } from "../../../shared/connectors/sqs/index.ts";
import type { ObjectStore } from "../../../shared/contract/object-store.ts";
import { withStores } from "../../support/runtime.ts";
import { CollectingWorld } from "../collecting.ts";
import {
  client,
  counts,
  idsOf,
  json,
  type Middleware,
  newQueue,
  range,
  readerOf,
  rowsIn,
  send,
  sorted,
} from "./queues.ts";

async function keysOf(store: ObjectStore): Promise<string[]> {
  return (await Array.fromAsync(store.list(""))).map(({ key }) => key);
}

describe("sqs", () => {
  it("The sqs source commits 2,300 messages once over a kill and an abort and empties the queue", async () => {
    const queueUrl = await newQueue();
    await send(queueUrl, 0, 1500);
    const world = new CollectingWorld("numbers", (start) =>
      start.readStream.format(Sqs).options({
        queueUrl,
        format: "json",
        schema: "id bigint NOT NULL",
        maxMessages: 1000,
      }),
    );
    const killed = await world.start("killed");
    expect(await killed.plan()).toMatchObject({ kind: "batch" });
    await send(queueUrl, 1500, 2300);
    const next = await world.start("next");
    const resumed = await next.plan({ ended: true });
    expect(resumed).toMatchObject({ resumed: true, todo: [0] });
    world.failing = true;
    await next.write(resumed, 0).catch(() => undefined);
    expect(await next.finalize(resumed)).toMatchObject({ batch: { state: "aborted" } });
    world.failing = false;
    while ((await next.batch()) !== undefined);
    expect(sorted(world.rows().map(({ id }) => Number(id)))).toEqual(range(0, 2300));
    expect(await counts(queueUrl)).toEqual({ visible: 0, hidden: 0 });
    // The store keeps only the record of the last batch, which is needed to recognise duplicate
    // messages.
    expect(await keysOf(next.ports.store.at("source"))).toEqual([
      expect.stringMatching(/^sqs\/000000000003-[0-9a-f-]{36}\/batch\.json$/),
    ]);
  });

  it("The sqs source receives the messages of an unrecorded plan again and removes its files", async () => {
    const queueUrl = await newQueue();
    await send(queueUrl, 0, 30);
    const given = { around: withStores(realRuntime), visibilityTimeoutSeconds: 1 };
    const dead = await readerOf(queueUrl, given);
    const start = dead.initialOffset();
    const never = await dead.latestOffset(start);
    expect(never).toMatchObject({ batch: 1, files: 1 });
    await realRuntime.sleep(1300);
    const reader = await readerOf(queueUrl, { ...given, visibilityTimeoutSeconds: 60 });
    const end = json(await reader.latestOffset(start));
    expect(end).toMatchObject({ batch: 1, files: 1 });
    expect(end.id).not.toBe(never.id);
    expect(sorted(idsOf(await rowsIn(start, end, queueUrl, given)))).toEqual(range(0, 30));
    await (await readerOf(queueUrl, given)).commit(end);
    expect(await keysOf(given.around.store)).toEqual([`sqs/000000000001-${end.id}/batch.json`]);
    expect(await counts(queueUrl)).toEqual({ visible: 0, hidden: 0 });
  });

  it.each([
    ["standard", false],
    ["FIFO", true],
  ])(
    "The sqs source writes a message of a %s queue once, even if it is delivered again afterwards",
    async (_kind, fifo) => {
      const queueUrl = await newQueue({ fifo });
      const groups = fifo ? 25 : undefined;
      await send(queueUrl, 0, 100, groups);
      const given = { around: withStores(realRuntime), visibilityTimeoutSeconds: 2 };
      const reader = await readerOf(queueUrl, given);
      const start = reader.initialOffset();
      const one = json(await reader.latestOffset(start));
      const rows = await rowsIn(start, one, queueUrl, given);
      await realRuntime.sleep(2500);
      // The messages became visible again before the writers ended, and another consumer received
      // them.
      await client.send(
        new ReceiveMessageCommand({ QueueUrl: queueUrl, MaxNumberOfMessages: 10, VisibilityTimeout: 1 }),
      );
      await (await readerOf(queueUrl, given)).commit(one);
      await send(queueUrl, 100, 130, groups);
      await realRuntime.sleep(1300);
      let last = one;
      for (;;) {
        const next = await readerOf(queueUrl, { ...given, visibilityTimeoutSeconds: 60 });
        const end = json(await next.latestOffset(last));
        if (end.batch === last.batch) break;
        rows.push(...(await rowsIn(last, end, queueUrl, given)));
        await next.commit(end);
        last = end;
      }
      expect(sorted(idsOf(rows))).toEqual(range(0, 130));
      expect(await counts(queueUrl)).toEqual({ visible: 0, hidden: 0 });
    },
  );

  it("The sqs source recognises a message for dedupeWindowSeconds, batches later", async () => {
    const queueUrl = await newQueue();
    let ahead = 0;
    const around = withStores({ ...realRuntime, now: () => Date.now() + ahead });
    let again: ReceiveMessageCommandOutput | undefined;
    // The first messages are delivered a second time, as SQS may do.
    const redelivering: Middleware = async (command, next) => {
      const output = await next();
      if (command !== "ReceiveMessageCommand" || output.Messages === undefined) return output;
      if (again === undefined) again = output;
      else output.Messages.push(...(again.Messages ?? []));
      return output;
    };
    const given = { around, middleware: redelivering, dedupeWindowSeconds: 600 };
    const reader = await readerOf(queueUrl, given);
    let start: QueueOffset = reader.initialOffset();
    const receive = async (id: number) => {
      await send(queueUrl, id, id + 1);
      const end = json(await reader.latestOffset(start));
      const ids = idsOf(await rowsIn(start, end, queueUrl, { around }));
      await reader.commit(end);
      start = end;
      return sorted(ids);
    };
    expect(await receive(0)).toEqual([0]);
    ahead = 3_600_000;
    expect(await receive(1)).toEqual([1]);
    ahead += 500_000;
    expect(await receive(2)).toEqual([2]);
    ahead += 200_000;
    expect(await receive(3)).toEqual([3]);
    expect(await receive(4)).toEqual([0, 4]);
  });

  it("The sqs source writes a message once that comes twice within a batch", async () => {
    const queueUrl = await newQueue();
    await send(queueUrl, 0, 20);
    const twice: Middleware = async (command, next) => {
      const output = await next();
      if (command === "ReceiveMessageCommand") output.Messages?.push(...output.Messages);
      return output;
    };
    const given = { around: withStores(realRuntime) };
    const reader = await readerOf(queueUrl, { ...given, middleware: twice });
    const start = reader.initialOffset();
    const end = json(await reader.latestOffset(start));
    expect(sorted(idsOf(await rowsIn(start, end, queueUrl, given)))).toEqual(range(0, 20));
  });

  it("The sqs source repeats failed deletes, at once or in the next run", async () => {
    const queueUrl = await newQueue();
    await send(queueUrl, 0, 30);
    const given = { around: withStores(realRuntime) };
    const planner = await readerOf(queueUrl, given);
    const end = json(await planner.latestOffset(planner.initialOffset()));
    let fails = true;
    let answers = 0;
    const faults: Middleware = async (command, next) => {
      if (command !== "DeleteMessageBatchCommand") return await next();
      if (fails) throw Object.assign(new Error("not now"), { name: "AccessDenied", $metadata: {} });
      if (++answers <= 2)
        return {
          Successful: [],
          Failed: [{ Id: "0", Code: "InternalError", SenderFault: false }],
          $metadata: {},
        };
      return await next();
    };
    await expect(
      (await readerOf(queueUrl, { ...given, middleware: faults })).commit(end),
    ).rejects.toMatchObject({
      code: "SQS_FAILED",
      message: expect.stringMatching(/DeleteMessageBatch of .* failed: AccessDenied: not now/),
    });
    fails = false;
    await (await readerOf(queueUrl, { ...given, middleware: faults })).commit(end);
    expect(answers).toBeGreaterThan(3);
    // Two answers named only one failed entry each, so the reader took the other entries as
    // deleted. This second commit deletes them.
    await (await readerOf(queueUrl, given)).commit(end);
    expect(await counts(queueUrl)).toEqual({ visible: 0, hidden: 0 });
  });

  it("The sqs source spares messages that the next run received, when an overtaken run commits late", async () => {
    const queueUrl = await newQueue();
    const given = { around: withStores(realRuntime) };
    await send(queueUrl, 0, 10);
    const reader = await readerOf(queueUrl, given);
    const start = reader.initialOffset();
    const one = json(await reader.latestOffset(start));
    await reader.commit(one);
    await send(queueUrl, 10, 20);
    const two = json(await reader.latestOffset(one));
    await (await readerOf(queueUrl, given)).commit(one);
    expect(sorted(idsOf(await rowsIn(one, two, queueUrl, given)))).toEqual(range(10, 20));
    await reader.commit(two);
    await (await readerOf(queueUrl, given)).commit(one);
    expect(await keysOf(given.around.store)).toEqual([`sqs/000000000002-${two.id}/batch.json`]);
  });
});
