import { SendMessageBatchCommand } from "@aws-sdk/client-sqs";
import { describe, expect, it } from "vitest";
import { runtime as realRuntime } from "../../../local/home.ts";
import type { QueueOffset } from "../../../shared/connectors/sqs/batches.ts";
import { withStores } from "../../support/runtime.ts";
import {
  client,
  counts,
  idsOf,
  json,
  type Middleware,
  newQueue,
  type Row,
  range,
  readerOf,
  rowsIn,
  send,
  sendBodies,
  sorted,
} from "./queues.ts";

describe("sqs", () => {
  it("The sqs source returns a raw message with its time and attributes", async () => {
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

  it("The sqs source reads a partition again as it was, and returns the start itself for an empty queue", async () => {
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

  it("The sqs source takes no more messages than its limit", async () => {
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

  it("The sqs source puts large messages into several files, a task each", async () => {
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

  it("A run of availableNow ends once the messages at its start are read, while others go on sending", async () => {
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
      // Each batch is planned by a new reader, because a new process plans each batch on AWS.
      planner = await readerOf(queueUrl, { around, maxMessages: 20 });
      if (target !== undefined) planner.restoreAvailableNow(target);
    }
    expect(sorted(idsOf(rows))).toEqual(expect.arrayContaining(range(0, 50)));
    expect(start.batch).toBeLessThan(10);
    expect((await counts(queueUrl)).hidden).toBe(0);
  });

  it("The sqs source keeps the order of a group of a FIFO queue", async () => {
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

  it("The sqs source names queue and request if AWS refuses", async () => {
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
