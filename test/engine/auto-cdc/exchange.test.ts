import type { RecordBatch } from "apache-arrow";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { takeRows } from "../../../shared/arrow/take.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { checkMergeStream, type MergeStreamOptions } from "../../../shared/contract/merge-stream.ts";
import { ChangeRows } from "../../../shared/engine/auto-cdc/change-rows.ts";
import { LastChanges } from "../../../shared/engine/auto-cdc/last-changes.ts";
import { planMerge } from "../../../shared/engine/auto-cdc/merge-plan.ts";
import type { SortingOptions } from "../../../shared/engine/shuffle/sorted-rows.ts";
import { SqliteLedger } from "../../../shared/platform/embedded/sqlite-ledger.ts";
import { Surroundings } from "../../../shared/testing/surroundings.ts";
import { CHANGES_DDL, type Change, feeds, MERGE, newestState } from "../../support/changes.ts";

const SCHEMA = parseDdl(CHANGES_DDL);

function planOf(options: MergeStreamOptions, ddl = CHANGES_DDL) {
  return planMerge(checkMergeStream(options), parseDdl(ddl), {});
}

const surroundings = new Surroundings({ now: 0 });
const sorting: SortingOptions = {
  ports: { ledger: new SqliteLedger(":memory:"), ...surroundings, openStore: () => surroundings.store },
  folder: "sorted/",
  signal: new AbortController().signal,
  where: {},
};

/** Returns what one task makes of these batches. */
async function applied(
  transform: ChangeRows | LastChanges,
  batches: readonly RecordBatch[],
  partitionId = 0,
): Promise<RecordBatch[]> {
  async function* all() {
    yield* batches;
  }
  return await Array.fromAsync(transform.apply(all(), { partitionId }, sorting));
}

/** Exchanges the changes of partitions by key. Each task gets the partitions in the order given. */
async function exchanged(
  options: MergeStreamOptions,
  partitions: readonly (readonly Change[])[],
  order: readonly number[],
): Promise<object[]> {
  const plan = planOf(options);
  const changes = await Promise.all(
    partitions.map((rows, i) => applied(new ChangeRows(plan), [recordBatchOf(SCHEMA, rows)], i)),
  );
  const made = [0, 1].map(async (bucket) => {
    const share = order.flatMap((partition) =>
      (changes[partition] ?? []).map((batch) => {
        const ids = [...rowsOf(batch)].map(({ id }) => Number(id));
        return takeRows(
          batch,
          ids.flatMap((id, row) => (id % 2 === bucket ? [row] : [])),
        );
      }),
    );
    return await applied(new LastChanges(plan), share);
  });
  const rows = (await Promise.all(made)).flat().flatMap((batch) => [...rowsOf(batch)]);
  return rows
    .filter(({ __operation }) => __operation === 2)
    .map(({ id, v, seq }) => ({ id, v, seq }))
    .sort((a, b) => Number(a.id) - Number(b.id));
}

describe("changes that tasks exchange by key", () => {
  it("Each key has one winner, whichever partitions have its changes", async () => {
    await fc.assert(
      fc.asyncProperty(feeds, async ({ changes, batches }) => {
        const order = batches.map((_, i) => i).reverse();
        expect(await exchanged(MERGE, batches, order)).toEqual(newestState(changes));
      }),
      { numRuns: 60 },
    );
  });

  it("The first of equal sequences is that of the first partition, in whichever order files come", async () => {
    const at = (v: string): Change => ({ id: 1, v, seq: 5, op: null });
    const partitions = [[at("a"), at("b")], [at("c")], [at("d")]];
    for (const order of [
      [0, 1, 2],
      [2, 0, 1],
      [1, 2, 0],
    ])
      expect(await exchanged({ ...MERGE, onEqualSequence: "first" }, partitions, order)).toEqual([
        { id: 1, v: "a", seq: 5 },
      ]);
  });

  it("A null is found before any exchange, with its row after those of earlier record batches", async () => {
    const plan = planOf({ keys: ["v"], sequenceBy: "seq" });
    const batch = (v: string | null) => recordBatchOf(SCHEMA, [{ id: 1, v, seq: 1, op: null }]);
    await expect(
      applied(new ChangeRows(plan), [batch("a"), batch("b"), batch(null)], 7),
    ).rejects.toMatchObject({ code: "KEY_IS_NULL", where: { partition: 7, row: 3, field: "v" } });
  });

  it("SCD type 2 gives all changes of a key in the order of their sequences", async () => {
    const plan = planOf({ ...MERGE, storedAsScdType: 2 });
    const change = (seq: number, op: Change["op"]): Change => ({ id: 1, v: null, seq, op });
    const rows = [change(3, "delete"), change(-1, null), change(2, "upsert"), change(10, "delete")];
    const made = await applied(new LastChanges(plan), [recordBatchOf(SCHEMA, rows)]);
    expect(
      made.flatMap((batch) => [...rowsOf(batch)]).map((row) => [row["__operation"], row["__start_at"]]),
    ).toEqual([
      [2, -1],
      [2, 2],
      [1, 3],
      [1, 10],
    ]);
  });
});

describe("the bytes of a sequence", () => {
  async function bytesOf(ddl: string, values: readonly unknown[]): Promise<string[]> {
    const plan = planOf({ keys: ["id"], sequenceBy: "seq" }, `id int, seq ${ddl}`);
    const batch = recordBatchOf(
      plan.source,
      values.map((seq) => ({ id: 1, seq })),
    );
    const [changes] = await applied(new ChangeRows(plan), [batch]);
    if (changes === undefined) throw new Error("there are no changes");
    return [...rowsOf(changes)].map((row) =>
      Buffer.from(String(row["__sequence"]), "base64").toString("hex"),
    );
  }

  it("They never change, because tables keep them", async () => {
    expect(await bytesOf("bigint", [-1, 0, 258])).toEqual([
      "017fffffffffffffff",
      "018000000000000000",
      "018000000000000102",
    ]);
    expect(await bytesOf("string", ["", "ab"])).toEqual(["010000", "0161620000"]);
    expect(await bytesOf("timestamp", ["1970-01-01T00:00:00.000001Z"])).toEqual(["018000000000000001"]);
    expect(await bytesOf("date", ["1970-01-02"])).toEqual(["0180000001"]);
    expect(await bytesOf("double", [1.5, -1.5])).toEqual(["01bff8000000000000", "014007ffffffffffff"]);
    expect(await bytesOf("decimal(4,1)", ["1.5"])).toEqual(["018000000000000000000000000000000f"]);
  });

  it("They stay the same if the column becomes wider", async () => {
    for (const narrow of ["tinyint", "smallint", "int"])
      expect(await bytesOf(narrow, [-7, 100])).toEqual(await bytesOf("bigint", [-7, 100]));
    expect(await bytesOf("float", [-1.5, 2])).toEqual(await bytesOf("double", [-1.5, 2]));
  });
});
