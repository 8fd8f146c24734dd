import { describe, expect, it } from "vitest";
import { batchTable } from "../../cli/render/batch.ts";
import { fitTable } from "../../cli/render/fit-table.ts";
import type { Batch } from "../../shared/engine/ports/ledger.ts";

const offset = (hour: number) => ({ time: `2026-11-21T0${hour}:00:00.000Z`, page: "a1b2c3d4e5f6a7b8c9" });

/** A batch as a real source makes it: long offsets, many rows, and an error. */
const batch = (batchId: number, changes: Partial<Batch> = {}): Batch => ({
  pipeline: "orders",
  incarnation: "life",
  batchId,
  start: offset(batchId),
  end: offset(batchId + 1),
  partitionsKey: "key",
  tasks: 1200,
  attempt: 1,
  state: "committed",
  lastTriedAttempt: 1,
  plannedAt: Date.UTC(2026, 10, 21, 3, batchId),
  firstPlannedAt: Date.UTC(2026, 10, 21, 3, batchId),
  finishedAt: Date.UTC(2026, 10, 21, 3, batchId, 42),
  progress: { rows: 1_234_567, bytes: 98_765_432 },
  ...changes,
});

const longest = (table: string) => Math.max(...table.split("\n").map((line) => line.length));

describe("a table of batches", () => {
  it("A table of batches has the time of day of each batch and how long it took, in 80 columns", () => {
    const table = batchTable([batch(1), batch(2)]);
    expect(longest(table)).toBeLessThanOrEqual(80);
    expect(table).toMatch(/^batch +started +took +to +rows/);
    expect(table).toMatch(/1 {2}11-21 03:01:00Z +42\.0 s/);
    expect(table).toContain("1,234,567");
  });

  it("A table of batches that failed fits 80 columns, with tries and error", () => {
    const error = { code: "PARTITIONS_OVERLAP", message: "they overlap", where: {} };
    const table = batchTable([batch(1), batch(2, { state: "aborted", attempt: 13, error })]);
    expect(longest(table)).toBeLessThanOrEqual(80);
    expect(table).toMatch(/13 +aborted +PARTITIONS_OVERLAP$/);
  });
});

describe("fitTable", () => {
  it("A table that fits is not changed", () => {
    const table = fitTable(["n", "offset"], [["1", "a".repeat(70)]], { cut: ["offset"], width: 80 });
    expect(table).toContain("a".repeat(70));
  });

  it("Long cells are cut before a column is left out, and the least important column goes first", () => {
    const rows = [["1", "a".repeat(50), "22", "33"]];
    const fitted = (width: number) =>
      fitTable(["n", "offset", "rows", "rate"], rows, { cut: ["offset"], drop: ["rate", "rows"], width });
    expect(fitted(40)).toMatch(/^n {2}offset +rows {2}rate\n/);
    expect(longest(fitted(40))).toBe(40);
    expect(fitted(30)).toMatch(/^n {2}offset +rows\n/);
    expect(fitted(25)).toMatch(/^n {2}offset\n/);
  });

  it("Times lose their zeros before anything is cut", () => {
    const row = ["2018-01-31T00:00:00.000Z", "2018-01-31T00:00:01.000Z", "2018-01-31T00:00:01.500Z"];
    const cut = ["a", "b", "c"];
    expect(fitTable(cut, [row], { cut, width: 70 })).toContain(
      "2018-01-31T00:00Z  2018-01-31T00:00:01Z  2018-01-31T00:00:01.500Z",
    );
    expect(fitTable(cut, [row], { cut, width: 80 })).toContain(row.join("  "));
  });
});
