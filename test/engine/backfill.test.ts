import { describe, expect, it } from "vitest";
import { asBackfill } from "../../shared/contract/backfill-pipeline.ts";
import { liveRanges, overlapping } from "../../shared/engine/backfill/live-range.ts";
import { BackfillReader, type StreamReader } from "../../shared/engine/backfill/reader.ts";
import { isFinished } from "../../shared/engine/backfill/state.ts";
import type { Batch, Ledger } from "../../shared/engine/ports/ledger.ts";
import { EngineWorld, scripted } from "../support/engine.ts";

const RANGE = { from: "10", to: "25", chunk: "10" };

/** A stream of numbers, whose offset `n` is the next one. */
function numbers(calls: string[] = []): StreamReader {
  return {
    offsetAt: (bound: string) => ({ n: Number(bound) }),
    completeUpTo: () => "100",
    partitions: (start: { n: number }, end: { n: number }) => [[start.n, end.n]],
    commit: () => calls.push("commit"),
    stop: () => calls.push("stop"),
  } as never;
}

function ledgerWith(batches: readonly Partial<Batch>[]): Ledger {
  const all = [...batches].reverse() as Batch[];
  return {
    batches: async (_pipeline: string, { limit, before }: { limit: number; before: number }) =>
      all.filter(({ batchId }) => batchId < before).slice(0, limit),
  } as never;
}

const batch = (batchId: number, start: number, end: number, more: Partial<Batch> = {}) => ({
  batchId,
  start: { n: start },
  end: { n: end },
  ...more,
});

describe("the reader of a backfill", () => {
  it("A backfill has a batch for each chunk, and is idle at the end of its range", async () => {
    const reader = new BackfillReader(numbers(), RANGE, {});
    const first = reader.latestOffset(reader.initialOffset());
    const second = reader.latestOffset(first);
    expect([first, second, reader.latestOffset(second)]).toEqual([
      { bound: "20" },
      { bound: "25" },
      { bound: "25" },
    ]);
    expect(await reader.partitions(first, second)).toEqual([[20, 25]]);
  });

  it("A backfill never tells the source that it may forget rows", async () => {
    const calls: string[] = [];
    const reader = new BackfillReader(numbers(calls), RANGE, {});
    await reader.commit({ bound: "25" });
    await reader.stop();
    expect(calls).toEqual(["stop"]);
  });

  it("An offset that a person gives must lie in the range", () => {
    const reader = new BackfillReader(numbers(), RANGE, {});
    expect(reader.deserializeOffset({ bound: "015" })).toEqual({ bound: "15" });
    for (const bound of ["9", "26", "2026-01-01", null])
      expect(() => reader.deserializeOffset({ bound })).toThrow();
  });
});

describe("the range of a pipeline", () => {
  const INITIAL = { n: 0 };

  it("A pipeline that never ran reads all from its first offset on", async () => {
    const ranges = await liveRanges(ledgerWith([]), { pipeline: "p", nextBatchId: 0 }, { n: 50 });
    expect(ranges).toEqual([{ start: { n: 50 } }]);
  });

  it("Batches that follow each other are one range, and a rewind ahead leaves a gap", async () => {
    const ledger = ledgerWith([batch(0, 0, 10), batch(1, 10, 20), batch(2, 40, 50)]);
    const head = { pipeline: "p", offset: { n: 50 }, nextBatchId: 3 };
    expect(await liveRanges(ledger, head, INITIAL)).toEqual([
      { start: { n: 40 } },
      { start: { n: 0 }, end: { n: 20 } },
    ]);
  });

  it("What batches have read that the ledger does not know any more counts, as does a skipped batch", async () => {
    const skipped = { by: "ann", at: 1 };
    const ledger = ledgerWith([batch(3, 30, 40), batch(7, 60, 70, { skipped })]);
    const head = { pipeline: "p", offset: { n: 70 }, nextBatchId: 8 };
    const ranges = await liveRanges(ledger, head, INITIAL);
    const of = async (start: number, end: number) =>
      (await overlapping(numbers(), ranges, { start: { n: start }, end: { n: end } })) !== undefined;
    for (const start of [0, 29, 30, 39, 40, 59, 60, 69, 70, 1000])
      expect(await of(start, start + 1)).toBe(true);
  });

  it("Neighbours do not overlap, and offsets in no known order count as overlapping", async () => {
    const ranges = [{ start: { n: 40 } }, { start: { n: 10 }, end: { n: 20 } }];
    const found = (start: object, end: object) =>
      overlapping(numbers(), ranges, { start: start as never, end: end as never });
    expect(await found({ n: 0 }, { n: 10 })).toBeUndefined();
    expect(await found({ n: 20 }, { n: 40 })).toBeUndefined();
    expect(await found({ n: 19 }, { n: 21 })).toBe(ranges[1]);
    expect(await found({ n: 39 }, { n: 41 })).toBe(ranges[0]);
    expect(await found({ other: 1 }, { other: 2 })).toBeDefined();
  });
});

describe("a backfill in the engine", () => {
  it("Plan and Finalize need the range, tasks do not, and the end is told by the head", async () => {
    const { script, pipeline } = scripted();
    const world = new EngineWorld();
    const claim = { name: "numbers@0_8", id: "a", from: "0", to: "8", chunk: "8" };
    expect(await isFinished(world.ledger, claim)).toBe(false);
    const withOffsets = asBackfill(pipeline, claim.name);
    await expect((await world.run(withOffsets, "a")).plan()).rejects.toMatchObject({
      code: "BACKFILL_NOT_SUPPORTED",
    });
    expect(script.calls).not.toContain("latestOffset");
  });
});
