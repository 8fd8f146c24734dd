import { describe, expect, it } from "vitest";
import { asc } from "../../../shared/contract/write/distribution.ts";
import { reference } from "../../../shared/contract/write/predicates.ts";
import { planShuffled } from "../../../shared/engine/shuffle/segments.ts";
import type { ShuffleOutput, ShuffleSpec } from "../../../shared/engine/shuffle/spec.ts";

const MIB = 1024 * 1024;

const hash = (size: Partial<ShuffleSpec>): ShuffleSpec =>
  ({
    kind: "hash",
    expressions: [reference("p")],
    buckets: 4,
    isFixed: false,
    targetBytes: 0,
    maySplit: false,
    ...size,
  }) as ShuffleSpec;

/** The output of a task that has parts of these sizes, `[bucket, bytes]`. */
function output(task: number, parts: readonly (readonly [bucket: number, bytes: number])[]): ShuffleOutput {
  let end = 0;
  const placed = parts.map(([bucket, bytes]) => {
    end += bytes;
    return [bucket, end - bytes, end, bytes / 8] as const;
  });
  return { key: `task-${task}`, bytes: end, rows: end / 8, parts: placed };
}

const sizes = (spec: ShuffleSpec, outputs: readonly ShuffleOutput[]) =>
  planShuffled(spec, outputs).map(({ bytes }) => bytes);

describe("The plan after a shuffle", () => {
  it("A fixed number of partitions is kept, even if some are empty", () => {
    const plan = planShuffled(hash({ isFixed: true }), [
      output(0, [[1, 80]]),
      output(1, [
        [1, 16],
        [3, 24],
      ]),
    ]);
    expect(plan).toEqual([
      { segments: [], rows: 0, bytes: 0 },
      {
        segments: [
          { key: "task-0", fileBytes: 80, start: 0, end: 80 },
          { key: "task-1", fileBytes: 40, start: 0, end: 16 },
        ],
        rows: 12,
        bytes: 96,
      },
      { segments: [], rows: 0, bytes: 0 },
      { segments: [{ key: "task-1", fileBytes: 40, start: 16, end: 40 }], rows: 3, bytes: 24 },
    ]);
  });

  it("Neighbours are put together up to the size, and parts side by side are one segment", () => {
    const outputs = [
      output(0, [
        [0, MIB],
        [1, MIB],
        [2, 2 * MIB],
        [3, MIB],
      ]),
    ];
    const plan = planShuffled(hash({ targetBytes: 2 * MIB }), outputs);
    expect(plan.map(({ segments }) => segments.map(({ start, end }) => [start / MIB, end / MIB]))).toEqual([
      [[0, 2]],
      [[2, 4]],
      [[4, 5]],
    ]);
  });

  it("Partitions below 1 MiB are put together, whatever size was asked", () => {
    const outputs = [
      output(0, [
        [0, 1000],
        [1, 1000],
        [2, MIB],
        [3, 1000],
      ]),
    ];
    expect(sizes(hash({ targetBytes: 1 }), outputs)).toEqual([2000, MIB, 1000]);
  });

  it("There is one empty partition if there are no rows", () => {
    const none = { key: "", bytes: 0, rows: 0, parts: [] };
    for (const kind of ["hash", "even", "range"] as const) {
      const spec = { ...hash({ targetBytes: MIB }), kind, ordering: [asc("p")] } as ShuffleSpec;
      expect(planShuffled(spec, [none, none])).toEqual([{ segments: [], rows: 0, bytes: 0 }]);
      expect(planShuffled(spec, [])).toEqual([{ segments: [], rows: 0, bytes: 0 }]);
    }
  });

  it("A bucket of more than twice the size is split between its parts, only if it may be", () => {
    const large = Array.from({ length: 6 }, () => [1, 2 * MIB] as const);
    const outputs = [output(0, [[0, MIB], ...large, [2, 2 * MIB]])];
    expect(sizes(hash({ targetBytes: 4 * MIB, maySplit: true }), outputs)).toEqual([
      MIB,
      4 * MIB,
      4 * MIB,
      4 * MIB,
      2 * MIB,
    ]);
    expect(sizes(hash({ targetBytes: 4 * MIB }), outputs)).toEqual([MIB, 12 * MIB, 2 * MIB]);
    expect(sizes(hash({ targetBytes: 8 * MIB, maySplit: true }), outputs)).toEqual([MIB, 12 * MIB, 2 * MIB]);
  });

  it("A large bucket is split into fewer than 10,000 partitions, whatever size was asked", () => {
    const parts = Array.from({ length: 30_000 }, (_, i) => [i % 2, MIB] as const);
    const spec = hash({ targetBytes: 1, maySplit: true, buckets: 2 });
    const plan = planShuffled(spec, [output(0, parts)]);
    expect(plan.length).toBeGreaterThan(4_000);
    expect(plan.length).toBeLessThan(10_000);
    expect(plan.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(30_000 * MIB);
  });

  it("Buckets that may not be split are put together only up to the size that was asked", () => {
    const parts = Array.from({ length: 20_000 }, (_, bucket) => [bucket, 2 * MIB] as const);
    const spec = hash({ targetBytes: 2 * MIB, buckets: 20_000 });
    expect(planShuffled(spec, [output(0, parts)])).toHaveLength(20_000);
  });

  it("A range has as many partitions as its size asks for, and at most the number of buckets", () => {
    const keyOf = (key: number) => Buffer.from([1, key]).toString("base64");
    const chunks = Array.from({ length: 20 }, (_, i) => [0, i * MIB, (i + 1) * MIB, 10] as const);
    const keys = chunks.map((_, i) => [keyOf(i * 10), keyOf(i * 10 + 9)] as const);
    const outputs = [{ key: "a", bytes: 20 * MIB, rows: 200, parts: chunks, keys }];
    const plan = (buckets: number, targetBytes: number) =>
      planShuffled(
        { kind: "range", ordering: [asc("p")], buckets, isFixed: false, targetBytes, maySplit: false },
        outputs,
      );
    expect(plan(100, 5 * MIB)).toHaveLength(4);
    expect(plan(3, 5 * MIB)).toHaveLength(3);
    expect(plan(100, 1)).toHaveLength(20);
    expect(plan(100, 5 * MIB).map(({ segments }) => segments.length)).toEqual([1, 1, 1, 1]);
  });

  it("A bucket that does not exist is an error", () => {
    expect(() => planShuffled(hash({}), [output(0, [[4, 8]])])).toThrow("there is no bucket 4 of 4");
  });
});
