import { randomUUID } from "node:crypto";
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  type ReceiveMessageCommandOutput,
  SendMessageBatchCommand,
  type SendMessageBatchRequestEntry,
  SQSClient,
} from "@aws-sdk/client-sqs";
import { describe, expect, it } from "vitest";
import { runtime as realRuntime } from "../../../local/home.ts";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { Batches, type QueueOffset } from "../../../shared/connectors/sqs/batches.ts";
import { Sqs, type SqsOptions } from "../../../shared/connectors/sqs/index.ts";
import { Queue } from "../../../shared/connectors/sqs/queue.ts";
import { SqsReader } from "../../../shared/connectors/sqs/stream-reader.ts";
import type { DataSourceRuntime } from "../../../shared/contract/context.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import type { ObjectStore } from "../../../shared/contract/object-store.ts";
import { parseOptions } from "../../../shared/contract/options/parse.ts";
import { withStores } from "../../support/runtime.ts";
import { CollectingWorld } from "../collecting.ts";

type Row = Record<string, unknown>;
type Middleware = (commandName: string, next: () => Promise<ReceiveMessageCommandOutput>) => Promise<unknown>;

const client = new SQSClient({});
const json = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
const sorted = (ids: readonly number[]) => [...ids].sort((a, b) => a - b);
const idsOf = (rows: readonly Row[]) =>
  rows.map(({ body }) => (JSON.parse(String(body)) as { id: number }).id);

async function newQueue(
  options: { fifo?: boolean; attributes?: Record<string, string> } = {},
): Promise<string> {
  const { QueueUrl = "" } = await client.send(
    new CreateQueueCommand({
      QueueName: `queue-${randomUUID()}${options.fifo ? ".fifo" : ""}`,
      Attributes: { ...(options.fifo ? { FifoQueue: "true" } : {}), ...options.attributes },
    }),
  );
  return QueueUrl;
}

/** Sends messages with these ids; on a FIFO queue, each in one of `groups` groups. */
async function send(QueueUrl: string, from: number, to: number, groups?: number): Promise<void> {
  const entries = range(from, to).map(
    (id): SendMessageBatchRequestEntry => ({
      Id: String(id),
      MessageBody: JSON.stringify({ id }),
      ...(groups === undefined
        ? {}
        : { MessageGroupId: `group-${id % groups}`, MessageDeduplicationId: String(id) }),
    }),
  );
  for (let i = 0; i < entries.length; i += 10)
    await client.send(new SendMessageBatchCommand({ QueueUrl, Entries: entries.slice(i, i + 10) }));
}

async function sendBodies(QueueUrl: string, ...bodies: string[]): Promise<void> {
  const Entries = bodies.map((MessageBody, i) => ({ Id: String(i), MessageBody }));
  await client.send(new SendMessageBatchCommand({ QueueUrl, Entries }));
}

/** Messages that are in the queue: to be received, and hidden. */
async function counts(QueueUrl: string): Promise<{ visible: number; hidden: number }> {
  const { Attributes = {} } = await client.send(
    new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["All"] }),
  );
  return {
    visible: Number(Attributes["ApproximateNumberOfMessages"]),
    hidden: Number(Attributes["ApproximateNumberOfMessagesNotVisible"]),
  };
}

interface Given extends Partial<SqsOptions> {
  /** Processes of one pipeline share a store. */
  readonly around?: DataSourceRuntime;
  /** Around each request that goes out. */
  readonly middleware?: Middleware;
}

/** A reader as each process has one of its own. */
async function readerOf(queueUrl: string, given: Given = {}): Promise<SqsReader> {
  const { around = withStores(realRuntime), middleware, ...options } = given;
  const parsed = await parseOptions(Sqs, { queueUrl, ...options });
  const own = new SQSClient({});
  if (middleware !== undefined) {
    own.middlewareStack.add(
      (next, context) => async (args) => {
        const output = await middleware(
          String(context["commandName"]),
          async () => (await next(args)).output as ReceiveMessageCommandOutput,
        );
        return { output: output as ReceiveMessageCommandOutput, response: {} };
      },
      { step: "deserialize", priority: "high", name: "faults" },
    );
  }
  return new SqsReader({
    schema: parseDdl(new Sqs(parsed, around).schema()),
    options: parsed,
    runtime: around,
    queue: new Queue(parsed, around, own),
    batches: new Batches(around.store),
  });
}

/** The rows of a batch, read by readers of their own. */
async function rowsIn(start: QueueOffset, end: QueueOffset, queueUrl: string, given: Given): Promise<Row[]> {
  const planner = await readerOf(queueUrl, given);
  const rows: Row[] = [];
  for (const partition of json(planner.partitions(start, end)))
    for await (const batch of (await readerOf(queueUrl, given)).read(partition)) rows.push(...rowsOf(batch));
  return rows;
}

async function keysOf(store: ObjectStore): Promise<string[]> {
  return (await Array.fromAsync(store.list(""))).map(({ key }) => key);
}

describe("sqs", () => {
  it("commits each of 2,300 messages once, over a killed run and an aborted batch, and empties the queue", async () => {
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
    // All that is left of them is what knows them again.
    expect(await keysOf(next.ports.store.at("source"))).toEqual([
      expect.stringMatching(/^sqs\/000000000003-[0-9a-f-]{36}\/batch\.json$/),
    ]);
  });

  it("gives a raw message with its time and attributes", async () => {
    const queueUrl = await newQueue();
    const before = Date.now();
    await client.send(
      new SendMessageBatchCommand({
        QueueUrl: queueUrl,
        Entries: [
          {
            Id: "0",
            MessageBody: "héllo",
            MessageAttributes: {
              kind: { DataType: "String", StringValue: "greeting" },
              bytes: { DataType: "Binary", BinaryValue: Uint8Array.from([0, 255]) },
            },
          },
        ],
      }),
    );
    const given = { around: withStores(realRuntime) };
    const reader = await readerOf(queueUrl, given);
    const start = reader.initialOffset();
    const [row] = await rowsIn(start, json(await reader.latestOffset(start)), queueUrl, given);
    expect(row).toMatchObject({
      body: "héllo",
      messageId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      messageGroupId: null,
      sequenceNumber: null,
      messageAttributes: { kind: "greeting", bytes: "AP8=" },
    });
    expect(Date.parse(String(row?.["sentTimestamp"]))).toBeGreaterThanOrEqual(before - 1000);
  });

  it("reads a partition again as it was, and gives the start itself where the queue is empty", async () => {
    const queueUrl = await newQueue();
    const given = { around: withStores(realRuntime) };
    let requests = 0;
    const counting: Middleware = (_command, next) => {
      requests++;
      return next();
    };
    const reader = await readerOf(queueUrl, { ...given, middleware: counting });
    const start = json(reader.initialOffset());
    expect(await reader.latestOffset(start)).toBe(start);
    expect(requests).toBe(1);
    await send(queueUrl, 0, 40);
    const end = json(await reader.latestOffset(start));
    const once = await rowsIn(start, end, queueUrl, given);
    expect(sorted(idsOf(once))).toEqual(range(0, 40));
    expect(await rowsIn(start, end, queueUrl, given)).toEqual(once);
  });

  it("takes no more messages than it is to", async () => {
    const queueUrl = await newQueue();
    await send(queueUrl, 0, 60);
    const given = { around: withStores(realRuntime), maxMessages: 25 };
    const reader = await readerOf(queueUrl, given);
    let start: QueueOffset = reader.initialOffset();
    const sizes: number[] = [];
    for (;;) {
      const end = json(await reader.latestOffset(start));
      if (end.batch === start.batch) break;
      sizes.push((await rowsIn(start, end, queueUrl, given)).length);
      await reader.commit(end);
      start = end;
    }
    expect(sizes).toEqual([25, 25, 10]);
    expect(await counts(queueUrl)).toEqual({ visible: 0, hidden: 0 });
  });

  it("puts large messages into several files, a task each", async () => {
    const queueUrl = await newQueue();
    for (let i = 0; i < 20; i++)
      await sendBodies(queueUrl, JSON.stringify({ id: i, text: "x".repeat(1_000_000) }));
    const given = { around: withStores(realRuntime) };
    const reader = await readerOf(queueUrl, given);
    const start = reader.initialOffset();
    const end = json(await reader.latestOffset(start));
    expect(reader.partitions(start, end).length).toBeGreaterThan(1);
    expect(sorted(idsOf(await rowsIn(start, end, queueUrl, given)))).toEqual(range(0, 20));
  });

  it("receives again what a planner received that died before its batch was recorded, and removes its files", async () => {
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
  ])("writes once what a %s queue delivers again after it was written", async (_kind, fifo) => {
    const queueUrl = await newQueue({ fifo });
    const groups = fifo ? 25 : undefined;
    await send(queueUrl, 0, 100, groups);
    const given = { around: withStores(realRuntime), visibilityTimeoutSeconds: 2 };
    const reader = await readerOf(queueUrl, given);
    const start = reader.initialOffset();
    const one = json(await reader.latestOffset(start));
    const rows = await rowsIn(start, one, queueUrl, given);
    await realRuntime.sleep(2500);
    // The writers took longer than the messages were hidden, and somebody else looked.
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
  });

  it("knows a message again for as long as dedupeWindowSeconds, batches later", async () => {
    const queueUrl = await newQueue();
    let ahead = 0;
    const around = withStores({ ...realRuntime, now: () => Date.now() + ahead });
    let again: ReceiveMessageCommandOutput | undefined;
    // The queue delivers the first messages once more, as it may.
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

  it("writes a message once that comes twice within a batch", async () => {
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

  it("deletes again what could not be deleted, at once or in the next run", async () => {
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
    // Of the two batches that the fault answered for, all but the first entries are said to be deleted.
    await (await readerOf(queueUrl, given)).commit(end);
    expect(await counts(queueUrl)).toEqual({ visible: 0, hidden: 0 });
  });

  it("leaves alone what the next run has received, when a run that was overtaken commits late", async () => {
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

  it("ends a run of availableNow once all that was there at its start is read, while others go on sending", async () => {
    const queueUrl = await newQueue();
    await send(queueUrl, 0, 50);
    const around = withStores(realRuntime);
    await realRuntime.sleep(50);
    let planner = await readerOf(queueUrl, { around, maxMessages: 20 });
    planner.prepareForTriggerAvailableNow();
    let start: QueueOffset = planner.initialOffset();
    const rows: Row[] = [];
    let id = 50;
    for (;;) {
      await send(queueUrl, id, id + 5);
      id += 5;
      const end = json(await planner.latestOffset(start));
      const target = json(planner.availableNowTarget());
      if (end.batch === start.batch) break;
      rows.push(...(await rowsIn(start, end, queueUrl, { around })));
      await planner.commit(end);
      start = end;
      // On AWS each batch is planned in another process.
      planner = await readerOf(queueUrl, { around, maxMessages: 20 });
      if (target !== undefined) planner.restoreAvailableNow(target);
    }
    expect(sorted(idsOf(rows))).toEqual(expect.arrayContaining(range(0, 50)));
    expect(start.batch).toBeLessThan(10);
    expect((await counts(queueUrl)).hidden).toBe(0);
  });

  it("keeps the order of a group of a FIFO queue", async () => {
    const queueUrl = await newQueue({ fifo: true });
    await send(queueUrl, 0, 60, 3);
    const around = withStores(realRuntime);
    const reader = await readerOf(queueUrl, { around });
    let start: QueueOffset = reader.initialOffset();
    const rows: Row[] = [];
    for (;;) {
      const end = json(await reader.latestOffset(start));
      if (end.batch === start.batch) break;
      rows.push(...(await rowsIn(start, end, queueUrl, { around })));
      await reader.commit(end);
      start = end;
    }
    for (const group of [0, 1, 2]) {
      const ofGroup = rows.filter(({ messageGroupId }) => messageGroupId === `group-${group}`);
      expect(idsOf(ofGroup)).toEqual(range(0, 60).filter((id) => id % 3 === group));
    }
    expect(rows[0]?.["sequenceNumber"]).toMatch(/^\d+$/);
  });

  it("names queue and request where AWS refuses", async () => {
    const reader = await readerOf(`${await newQueue()}-gone`);
    await expect(reader.latestOffset(reader.initialOffset())).rejects.toMatchObject({
      code: "SQS_FAILED",
      message: expect.stringMatching(
        /ReceiveMessage of .*-gone failed: (QueueDoesNotExist|.*NonExistentQueue)/,
      ),
      retryable: false,
    });
  });
});

describe("sqs, json", () => {
  const given = { format: "json" as const, schema: "id bigint NOT NULL, tags array<string>" };

  it("makes rows of the bodies, with all digits", async () => {
    const queueUrl = await newQueue();
    await sendBodies(queueUrl, '{"id": 9007199254740993, "tags": ["a"], "more": 1}');
    const around = withStores(realRuntime);
    const reader = await readerOf(queueUrl, { ...given, around });
    const start = reader.initialOffset();
    const end = await reader.latestOffset(start);
    expect(await rowsIn(start, end, queueUrl, { ...given, around })).toEqual([
      { id: "9007199254740993", tags: ["a"] },
    ]);
  });

  it.each([
    ["no JSON", "{", "RECORD_NOT_JSON"],
    ["no object", "[1]", "RECORD_NOT_JSON"],
    ["no row of the schema", '{"id": "seven"}', "ROW_MISMATCH"],
  ])("fails at a message that is %s, and gives the others back", async (_what, body, code) => {
    const queueUrl = await newQueue();
    await sendBodies(queueUrl, '{"id": 1}', body, '{"id": 2}');
    const reader = await readerOf(queueUrl, given);
    await expect(reader.latestOffset(reader.initialOffset())).rejects.toMatchObject({
      code,
      message: expect.stringMatching(/^message [0-9a-f-]{36} is no row: /),
      hint: expect.stringContaining("dead-letter queue"),
    });
    expect(await counts(queueUrl)).toEqual({ visible: 3, hidden: 0 });
  });

  it("leaves such a message for the dead-letter queue, where there is one", async () => {
    const deadLetters = await newQueue();
    const { Attributes = {} } = await client.send(
      new GetQueueAttributesCommand({ QueueUrl: deadLetters, AttributeNames: ["QueueArn"] }),
    );
    const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: Attributes.QueueArn, maxReceiveCount: 2 });
    const queueUrl = await newQueue({ attributes: { RedrivePolicy } });
    await sendBodies(queueUrl, '{"id": 1}', "{", '{"id": "seven"}', '{"id": 2}');
    const around = withStores(realRuntime);
    const reader = await readerOf(queueUrl, { ...given, around, visibilityTimeoutSeconds: 1 });
    const start = reader.initialOffset();
    const end = json(await reader.latestOffset(start));
    const rows = await rowsIn(start, end, queueUrl, { ...given, around });
    expect(sorted(rows.map(({ id }) => Number(id)))).toEqual([1, 2]);
    await reader.commit(end);
    for (let i = 0; i < 3; i++) {
      await realRuntime.sleep(1200);
      expect(await reader.latestOffset(end)).toBe(end);
    }
    expect(await counts(queueUrl)).toEqual({ visible: 0, hidden: 0 });
    expect(await counts(deadLetters)).toEqual({ visible: 2, hidden: 0 });
  });
});
