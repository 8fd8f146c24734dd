import { KinesisClient, MergeShardsCommand } from "@aws-sdk/client-kinesis";
import { describe, expect, it } from "vitest";
import { Kinesis } from "../../../shared/connectors/kinesis/index.ts";
import { Stream } from "../../../shared/connectors/kinesis/stream.ts";
import { KinesisReader } from "../../../shared/connectors/kinesis/stream-reader.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { parseOptions } from "../../../shared/contract/options/parse.ts";
import {
  active,
  batch,
  client,
  drain,
  expectOrdered,
  idsOf,
  json,
  type Middleware,
  newStream,
  openShards,
  put,
  RAW,
  range,
  read,
  readerOf,
  requestHandler,
  runtime,
  sorted,
  split,
} from "./streams.ts";

async function merge(StreamName: string): Promise<void> {
  const shards = (await openShards(StreamName)).sort((a, b) => (a.start < b.start ? -1 : 1));
  const [left, right] = shards;
  await client.send(
    new MergeShardsCommand({
      StreamName,
      ShardToMerge: left?.id ?? "",
      AdjacentShardToMerge: right?.id ?? "",
    }),
  );
  await active(StreamName);
}

describe("kinesis", () => {
  it("The kinesis source follows splits and merges: each record once, a child only after its parents", async () => {
    const stream = await newStream(2);
    await put(stream, 0, 500);
    const given = { maxRecordsPerShard: 90 };
    const reader = await readerOf(stream, given);
    const first = await batch(reader, json(reader.initialOffset()), stream, given);
    await split(stream);
    await put(stream, 500, 1000);
    const second = await batch(reader, first.end, stream, given);
    await merge(stream);
    await put(stream, 1000, 1500);
    await split(stream);
    await put(stream, 1500, 2000);
    const { batches, end } = await drain(stream, given, second.end);
    const all = [first.rows, second.rows, ...batches];
    expect(sorted(idsOf(all.flat(2)))).toEqual(range(0, 2000));
    expectOrdered(all);
    const ended = Object.values(end.shards).filter((shard) => shard.ended).length;
    expect(ended).toBe(Object.keys(end.shards).length - (await openShards(stream)).length);
  });

  it("The kinesis source passes closed shards without records in one plan", async () => {
    const stream = await newStream();
    await split(stream);
    await split(stream);
    await merge(stream);
    await put(stream, 0, 100);
    const { batches } = await drain(stream);
    expect(batches).toHaveLength(1);
    expect(sorted(idsOf(batches.flat(2)))).toEqual(range(0, 100));
  });

  it("The kinesis source forgets shards that were read to their end and are no longer listed", async () => {
    const stream = await newStream();
    await put(stream, 0, 10);
    await split(stream);
    const { end } = await drain(stream);
    expect(end.shards["shardId-000000000000"]).toMatchObject({ ended: true });
    await put(stream, 10, 20);
    const hideParent: Middleware = async (command, next) => {
      const output = await next();
      if (command !== "ListShardsCommand") return output;
      const { Shards = [] } = output as { Shards?: { ShardId: string }[] };
      return { ...output, Shards: Shards.filter(({ ShardId }) => ShardId !== "shardId-000000000000") };
    };
    const later = await drain(stream, { middleware: hideParent }, end);
    expect(sorted(idsOf(later.batches.flat(2)))).toEqual(range(10, 20));
    expect(Object.keys(later.end.shards)).not.toContain("shardId-000000000000");
  });

  it("The kinesis source asks for all pages of the list of shards", async () => {
    const stream = await newStream(5);
    await put(stream, 0, 200);
    let pages = 0;
    const narrow: Middleware = (command, next, input) => {
      if (command === "ListShardsCommand") {
        input["MaxResults"] = 2;
        pages++;
      }
      return next();
    };
    // The middleware runs before the request is serialized, so it can change the request.
    const reader = await readerOf(stream);
    const own = new KinesisClient({ requestHandler });
    own.middlewareStack.add(
      (next, context) => async (args) => {
        await narrow(String(context["commandName"]), async () => ({}) as never, args.input as never);
        return await next(args);
      },
      { step: "initialize", name: "narrow" },
    );
    const parsed = await parseOptions(Kinesis, { streamName: stream });
    const narrowed = new KinesisReader(parseDdl(RAW), parsed, new Stream(parsed, runtime, own), runtime);
    const start = json(reader.initialOffset());
    const end = await narrowed.latestOffset(start);
    expect(pages).toBe(3);
    const rows = await Promise.all(
      (await narrowed.partitions(start, end)).map(
        async (one) => await read(await readerOf(stream), one, RAW),
      ),
    );
    expect(sorted(idsOf(rows.flat()))).toEqual(range(0, 200));
  });
});
