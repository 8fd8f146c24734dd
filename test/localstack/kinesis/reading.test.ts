import { ExpiredIteratorException, ProvisionedThroughputExceededException } from "@aws-sdk/client-kinesis";
import { describe, expect, it } from "vitest";
import { runtime as realRuntime } from "../../../local/home.ts";
import { Kinesis } from "../../../shared/connectors/kinesis/index.ts";
import { checkSource } from "../../../shared/testing/index.ts";
import {
  batch,
  drain,
  expectOrdered,
  idsOf,
  json,
  type Middleware,
  newStream,
  put,
  putData,
  RAW,
  range,
  read,
  readerOf,
  sorted,
  split,
} from "./streams.ts";

describe("kinesis", () => {
  it("The kinesis source reads each record of several shards once, in the order of its key, in limited batches", async () => {
    const stream = await newStream(3);
    await put(stream, 0, 2200);
    const { batches } = await drain(stream, { maxRecordsPerShard: 400 });
    expect(sorted(idsOf(batches.flat(2)))).toEqual(range(0, 2200));
    expectOrdered(batches);
    expect(batches.length).toBeGreaterThan(1);
    for (const rows of batches.flat()) expect(rows.length).toBeLessThanOrEqual(400);
  });

  it("The kinesis source returns a raw record with its key, its place and its time", async () => {
    const stream = await newStream();
    const before = Date.now();
    await putData(stream, Uint8Array.from([0, 255, 1]));
    const { batches } = await drain(stream);
    const [row] = batches.flat(2);
    expect(row).toMatchObject({ partitionKey: "key", shardId: "shardId-000000000000", data: "AP8B" });
    expect(row?.["sequenceNumber"]).toMatch(/^\d{56}$/);
    expect(Date.parse(String(row?.["approximateArrivalTimestamp"]))).toBeGreaterThanOrEqual(before - 1000);
  });

  it("The kinesis source returns the same rows for a partition after new records and in another process", async () => {
    const stream = await newStream(2);
    await put(stream, 0, 600);
    const planner = await readerOf(stream, { maxRecordsPerShard: 200 });
    const start = json(planner.initialOffset());
    const end = json(await planner.latestOffset(start));
    // Another process that plans this batch must get the same partitions.
    const partitions = json(await (await readerOf(stream)).partitions(start, end));
    expect(partitions).toEqual(json(await planner.partitions(start, end)));
    const reading = () =>
      Promise.all(partitions.map(async (one) => await read(await readerOf(stream), one, RAW)));
    const once = await reading();
    expect(once.map((rows) => rows.length)).toEqual([200, 200]);
    await put(stream, 600, 900);
    await split(stream);
    await put(stream, 900, 1200);
    expect(await reading()).toEqual(once);
  });

  it("The kinesis source passes the checks of any source", async () => {
    const stream = await newStream(2);
    let records = 0;
    const advance = async () => {
      await put(stream, records, records + 100);
      records += 100;
    };
    await advance();
    await realRuntime.sleep(20);
    const report = await checkSource(Kinesis, { options: { streamName: stream }, advance });
    expect(report.notChecked).toEqual([]);
  });

  it("The kinesis source returns the start itself if there is no new record", async () => {
    const stream = await newStream(2);
    const reader = await readerOf(stream);
    const start = json(reader.initialOffset());
    expect(await reader.latestOffset(start)).toBe(start);
    await put(stream, 0, 10);
    const end = json(await reader.latestOffset(start));
    expect(await reader.latestOffset(end)).toBe(end);
  });

  it("The kinesis source begins at its configured start: at a time, or with new records", async () => {
    const stream = await newStream(2);
    await put(stream, 0, 50);
    // LocalStack passes the times in requests to Kinesis as whole seconds.
    await realRuntime.sleep(1100);
    const middle = new Date().toISOString();
    const latest = await readerOf(stream, { startingPosition: "LATEST" });
    const start = json(latest.initialOffset());
    await realRuntime.sleep(50);
    expect(await latest.latestOffset(start)).toBe(start);
    await put(stream, 50, 100);
    const since = await drain(stream, { startingPosition: { timestamp: middle } });
    expect(sorted(idsOf(since.batches.flat(2)))).toEqual(range(50, 100));
    const { batches } = await drain(stream, {}, start);
    expect(sorted(idsOf(batches.flat(2)))).toEqual(range(50, 100));

    // This clock is ahead of the clock of Kinesis, so the time is in the future for Kinesis.
    const future = new Date(Date.now() + 3_600_000).toISOString();
    const waiting = await readerOf(stream, { startingPosition: { timestamp: future } });
    const then = json(waiting.initialOffset());
    expect(await waiting.latestOffset(then)).toBe(then);
  });

  it("The kinesis source reads the records at the beginning of availableNow, also in another process", async () => {
    const stream = await newStream();
    await put(stream, 0, 300);
    await realRuntime.sleep(50);
    const first = await readerOf(stream, { maxRecordsPerShard: 200 });
    first.prepareForTriggerAvailableNow();
    await realRuntime.sleep(50);
    await put(stream, 300, 600);
    const one = await batch(first, json(first.initialOffset()), stream);
    const second = await readerOf(stream, { maxRecordsPerShard: 200 });
    second.restoreAvailableNow(json(first.availableNowTarget() ?? 0));
    const two = await batch(second, one.end, stream);
    expect(idsOf([one, two].flatMap(({ rows }) => rows.flat()))).toEqual(range(0, 300));
    expect(await second.latestOffset(two.end)).toBe(two.end);
    const rest = await drain(stream, {}, two.end);
    expect(idsOf(rest.batches.flat(2))).toEqual(range(300, 600));
  });

  it("The kinesis source finds the end of a large batch by time, without reading all of it", async () => {
    const stream = await newStream();
    for (let i = 0; i < 8; i++) {
      await put(stream, i * 400, (i + 1) * 400);
      await realRuntime.sleep(500);
    }
    await realRuntime.sleep(1000);
    await put(stream, 3200, 3210);
    let read = 0;
    const counted: Middleware = async (command, next) => {
      const output = await next();
      if (command === "GetRecordsCommand") read += output.Records?.length ?? 0;
      return output;
    };
    const planner = await readerOf(stream, { maxRecordsPerShard: 3000, middleware: counted });
    const one = await batch(planner, json(planner.initialOffset()), stream);
    const [rows = []] = one.rows;
    expect(rows.length).toBeGreaterThan(1300);
    expect(read).toBeLessThan(1100);
    const rest = await drain(stream, { maxRecordsPerShard: 3000 }, one.end);
    expect(idsOf([...rows, ...rest.batches.flat(2)])).toEqual(range(0, 3210));
  });

  it("The kinesis source reads all of a burst that ended, beyond the records that it looks at first", async () => {
    const stream = await newStream();
    await put(stream, 0, 1500);
    await realRuntime.sleep(100);
    await put(stream, 1500, 3000);
    await realRuntime.sleep(2100);
    const { batches } = await drain(stream, { maxRecordsPerShard: 100_000 });
    expect(idsOf(batches.flat(2))).toEqual(range(0, 3000));
    expect(batches).toHaveLength(1);
    const limited = await drain(stream, { maxRecordsPerShard: 1200 });
    expect(idsOf(limited.batches.flat(2))).toEqual(range(0, 3000));
  });

  it("The kinesis source takes an ARN for a name", async () => {
    const stream = await newStream();
    await put(stream, 0, 5);
    const streamArn = `arn:aws:kinesis:us-east-1:000000000000:stream/${stream}`;
    const { batches } = await drain("", { streamArn });
    expect(idsOf(batches.flat(2))).toEqual(range(0, 5));
  });

  it("The kinesis source waits if it is throttled, and continues if an iterator has expired", async () => {
    const stream = await newStream();
    await put(stream, 0, 400);
    const answers: number[] = [];
    const faults: Middleware = async (command, next) => {
      if (command !== "GetRecordsCommand") return await next();
      const count = answers.push(0);
      const $metadata = { httpStatusCode: 400 };
      if (count % 4 === 1)
        throw new ProvisionedThroughputExceededException({ message: "Rate exceeded", $metadata });
      if (count % 4 === 3) throw new ExpiredIteratorException({ message: "Iterator expired", $metadata });
      return await next();
    };
    const given = { middleware: faults, maxRecordsPerShard: 100 };
    const { batches } = await drain(stream, given);
    expect(idsOf(batches.flat(2))).toEqual(range(0, 400));
    expect(answers.length).toBeGreaterThan(12);
  });

  it("The kinesis source names stream and request if AWS refuses", async () => {
    const reader = await readerOf("nowhere");
    await expect(reader.latestOffset(json(reader.initialOffset()))).rejects.toMatchObject({
      code: "KINESIS_FAILED",
      message: expect.stringMatching(
        /nowhere.*(?:ListShards|DescribeStreamSummary).*ResourceNotFoundException/,
      ),
      retryable: false,
    });
  });
});
