import { describe, expect, it } from "vitest";
import { runtime as realRuntime } from "../../../local/home.ts";
import { withStores } from "../../support/runtime.ts";
import {
  batch,
  idsOf,
  json,
  type Middleware,
  newStream,
  put,
  RAW,
  range,
  read,
  readerOf,
} from "./streams.ts";

describe("kinesis with expired records", () => {
  /**
   * Returns middleware that answers like AWS after it has deleted the records up to `last`: the
   * answer contains the other records and no sign of the deletion.
   */
  const trimmed =
    (last: string): Middleware =>
    async (command, next) => {
      const output = await next();
      if (command !== "GetRecordsCommand") return output;
      const Records = output.Records?.filter((one) => BigInt(one.SequenceNumber ?? 0) > BigInt(last));
      return { ...output, Records };
    };

  async function planned() {
    const stream = await newStream();
    await put(stream, 0, 100);
    const reader = await readerOf(stream);
    const start = json(reader.initialOffset());
    const end = json(await reader.latestOffset(start));
    const [partition] = await reader.partitions(start, end);
    if (partition === undefined) throw new Error("there is no partition");
    const rows = await read(reader, partition, RAW);
    return { stream, partition, rows, start, end };
  }

  it("The kinesis source fails a replay whose records are gone, and names shard and range", async () => {
    const { stream, partition, rows } = await planned();
    const half = String(rows[49]?.["sequenceNumber"]);
    const reader = await readerOf(stream, { middleware: trimmed(half) });
    await expect(read(reader, partition, RAW)).rejects.toMatchObject({
      code: "KINESIS_DATA_EXPIRED",
      message: expect.stringContaining(
        `${stream}: shardId-000000000000 begins at sequence number ${rows[50]?.["sequenceNumber"]}`,
      ),
    });
    const all = await readerOf(stream, { middleware: trimmed(partition.last.seq) });
    await expect(read(all, partition, RAW)).rejects.toThrow(
      `has no more records; the batch has ${partition.first.seq} to ${partition.last.seq}`,
    );
    const lax = await readerOf(stream, { middleware: trimmed(half), failOnDataLoss: false });
    expect(idsOf(await read(lax, partition, RAW))).toEqual(range(50, 100));
  });

  it("The kinesis source fails if the stream was deleted and created again", async () => {
    const { partition, end } = await planned();
    const other = await newStream();
    await put(other, 0, 10);
    await expect(read(await readerOf(other), partition, RAW)).rejects.toMatchObject({
      code: "KINESIS_DATA_EXPIRED",
    });
    const replaced = { code: "KINESIS_STREAM_REPLACED", hint: expect.stringContaining("millrace rewind") };
    await expect((await readerOf(other)).latestOffset(end)).rejects.toMatchObject(replaced);
    // The records of another stream are no records that this one has lost.
    const lax = await readerOf(other, { failOnDataLoss: false });
    await expect(lax.latestOffset(end)).rejects.toMatchObject(replaced);
  });

  it("The kinesis source fails if a shard is gone before it was read", async () => {
    const { stream, end } = await planned();
    const lost = {
      ...end,
      shards: { ...end.shards, "shardId-000000000009": { last: { seq: "49", at: end.readUpTo } } },
    };
    await expect((await readerOf(stream)).latestOffset(lost)).rejects.toThrow(
      /shardId-000000000009 is gone, and was read only up to sequence number 49/,
    );
    const lax = await readerOf(stream, { failOnDataLoss: false });
    expect(await lax.latestOffset(lost)).toBe(lost);
  });

  it("The kinesis source fails after a pause longer than the retention, unless no record was missed", async () => {
    const { stream, end, partition } = await planned();
    await put(stream, 100, 200);
    const later = withStores({ ...realRuntime, now: () => Date.now() + 25 * 3_600_000 });
    const paused = await readerOf(stream, { runtime: later, middleware: trimmed(partition.last.seq) });
    await expect(paused.latestOffset(end)).rejects.toMatchObject({
      code: "KINESIS_DATA_EXPIRED",
      message: expect.stringContaining(partition.last.seq),
    });
    const whole = await readerOf(stream, { runtime: later });
    const { rows } = await batch(whole, end, stream);
    expect(idsOf(rows.flat())).toEqual(range(100, 200));
  });

  it("The kinesis source continues by time after an expired record and reads none twice", async () => {
    const { stream, start, end, partition, rows } = await planned();
    await put(stream, 100, 150);
    const iterators: unknown[] = [];
    const noted: Middleware = async (command, next, input) => {
      if (command === "GetShardIteratorCommand") iterators.push(input["ShardIteratorType"]);
      return await next();
    };
    const later = withStores({ ...realRuntime, now: () => Date.now() + 20 * 3_600_000 });
    const given = { runtime: later, middleware: noted };
    const next = await batch(await readerOf(stream, given), end, stream, given);
    expect(idsOf(next.rows.flat())).toEqual(range(100, 150));
    expect(await read(await readerOf(stream, given), partition, RAW)).toEqual(rows);
    expect(new Set(iterators)).toEqual(new Set(["AT_TIMESTAMP"]));
    expect(start.shards).toEqual({});
  });

  it("The kinesis source notes twice a day that it read an idle stream, so that its last record may expire", async () => {
    const { stream, end, partition } = await planned();
    const at = (hours: number) => {
      const clock = withStores({ ...realRuntime, now: () => Date.now() + hours * 3_600_000 });
      return readerOf(stream, { runtime: clock, middleware: trimmed(partition.last.seq) });
    };
    expect(await (await at(11)).latestOffset(end)).toBe(end);
    const noted = json(await (await at(13)).latestOffset(end));
    expect(noted.shards).toMatchObject({ [partition.shardId]: { last: partition.last } });
    expect(await (await at(13)).partitions(end, noted)).toEqual([]);
    expect(await (await at(24)).latestOffset(noted)).toBe(noted);
    expect((await (await at(30)).latestOffset(noted)).readUpTo > noted.readUpTo).toBe(true);
  });
});
