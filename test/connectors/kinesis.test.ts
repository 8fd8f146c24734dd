import { describe, expect, it } from "vitest";
import { Kinesis } from "../../shared/connectors/kinesis/index.ts";
import { ShardsPlan, type StreamOffset } from "../../shared/connectors/kinesis/shards-plan.ts";
import type { Mark, Shard } from "../../shared/connectors/kinesis/stream.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";
import { parseOptions } from "../../shared/contract/options/parse.ts";
import { EngineWorld } from "../support/engine.ts";
import { withStores } from "../support/runtime.ts";

const NOON = Date.UTC(2026, 10, 21, 12);
const HOUR = 3_600_000;
const iso = (time: number) => new Date(time).toISOString();
const mark = (seq: number, at = NOON - HOUR): Mark => ({ seq: String(seq), at: iso(at) });
const shard = (shardId: string, ...parents: string[]): Shard => ({ shardId, parents });
const START: StreamOffset = { from: "TRIM_HORIZON", readUpTo: iso(NOON - HOUR), shards: {} };

describe("the options of kinesis", () => {
  it.each([
    [{}, /streamName: must be set, or streamArn in its place/],
    [{ streamName: "a", streamArn: "arn:aws:kinesis:eu-west-1:1:stream/a" }, /streamName: must be set/],
    [{ streamArn: "arn:aws:s3:::bucket" }, /streamArn: must be the ARN of a stream/],
    [{ streamName: "a", schema: "id int" }, /schema: is only for the format json/],
    [{ streamName: "a", startingPosition: { timestamp: "2026-11-21" } }, /startingPosition/],
    [{ streamName: "a", startingPostion: "LATEST" }, /did you mean startingPosition\?/],
    [{ streamName: "a", maxRecordsPerShard: 0 }, /maxRecordsPerShard/],
  ])("refuses %j", async (options, problem) => {
    await expect(parseOptions(Kinesis, options)).rejects.toMatchObject({
      code: "OPTIONS_INVALID",
      message: expect.stringMatching(problem),
    });
  });

  it("tell the columns: raw ones, or those of the schema", async () => {
    const runtime = withStores(new EngineWorld().ports().runtime);
    const schemaOf = async (options: object) =>
      new Kinesis(await parseOptions(Kinesis, { streamName: "a", ...options }), runtime).schema();
    expect(parseDdl(await schemaOf({})).fields.map(({ name }) => name)).toEqual([
      "partitionKey",
      "sequenceNumber",
      "shardId",
      "approximateArrivalTimestamp",
      "data",
    ]);
    expect(await schemaOf({ format: "json", schema: "id bigint" })).toBe("id bigint");
    await expect(schemaOf({ format: "json" })).rejects.toMatchObject({ code: "SCHEMA_REQUIRED" });
  });
});

describe("the plan of a batch of shards", () => {
  it("gives a child only once its parents were read in batches before, or hold nothing more", () => {
    const listed = [shard("a"), shard("b"), shard("c", "a", "b"), shard("d", "c")];
    const plan = new ShardsPlan(START, listed);
    expect(plan.next()).toEqual(["a", "b"]);
    plan.saw("a", undefined, true, undefined);
    expect(plan.next()).toEqual([]);
    plan.saw("b", mark(5), true, NOON);
    expect(plan.next()).toEqual([]);
    const end = plan.end(NOON);
    expect(end.shards).toEqual({ a: { ended: true }, b: { last: mark(5), ended: true } });

    const next = new ShardsPlan(end, listed);
    expect(next.next()).toEqual(["c"]);
    next.saw("c", undefined, true, undefined);
    expect(next.next()).toEqual(["d"]);
  });

  it("begins with shards whose parents are no longer listed", () => {
    expect(new ShardsPlan(START, [shard("c", "a", "b"), shard("d", "c")]).next()).toEqual(["c"]);
  });

  it("keeps of the shards that were not read where they stand, and nothing of those that are gone", () => {
    const start = {
      ...START,
      shards: { a: { ended: true as const }, b: { last: mark(5) }, c: { last: mark(9) } },
    };
    const plan = new ShardsPlan(start, [shard("b"), shard("c")]);
    plan.next();
    plan.saw("b", undefined, false, NOON);
    plan.saw("c", mark(12), false, NOON);
    expect(plan.end(NOON).shards).toEqual({ b: { last: mark(5) }, c: { last: mark(12) } });
  });

  it("was read up to where the shard is that is furthest behind", () => {
    const plan = new ShardsPlan(START, [shard("a"), shard("b"), shard("c")]);
    plan.next();
    plan.saw("a", mark(2), false, NOON);
    plan.saw("b", mark(4), false, NOON - 5 * HOUR);
    plan.saw("c", undefined, true, undefined);
    expect(plan.end(NOON + 1).readUpTo).toBe(iso(NOON - 5 * HOUR));
  });

  it("gives the start itself where nothing is new, but for twice a day", () => {
    const at = (now: number) => {
      const plan = new ShardsPlan(START, [shard("a")]);
      plan.next();
      plan.saw("a", undefined, false, now);
      return plan.end(now);
    };
    expect(at(NOON)).toBe(START);
    expect(at(NOON + 10 * HOUR)).toBe(START);
    expect(at(NOON + 11 * HOUR)).toEqual({ ...START, readUpTo: iso(NOON + 11 * HOUR) });
  });
});
