import type { Schema } from "apache-arrow";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ArrowTable } from "../../../shared/connectors/arrow-table/index.ts";
import { Memory, memoryTable } from "../../../shared/connectors/memory/index.ts";
import { openTable } from "../../../shared/connectors/memory/table.ts";
import type { MergeStreamOptions } from "../../../shared/contract/merge-stream.ts";
import type { StreamPipeline } from "../../../shared/contract/pipeline.ts";
import type { SupportsAutoCdc } from "../../../shared/contract/write/auto-cdc.ts";
import { asc, Distributions } from "../../../shared/contract/write/distribution.ts";
import type { Table } from "../../../shared/contract/write/table.ts";
import { runPipeline } from "../../../shared/testing/run-pipeline.ts";
import {
  allStates,
  type Change,
  ChangeFeed,
  type ChangeSource,
  feeds,
  MERGE,
  newestState,
} from "../../support/changes.ts";

const TYPE_2: MergeStreamOptions = { ...MERGE, storedAsScdType: 2 };

/** A memory table whose merges require that rows are sorted. */
class SortedTable extends Memory {
  override autoCdcTable(schema: Schema): SupportsAutoCdc {
    const table = this.table(schema) as Table as SupportsAutoCdc;
    return {
      ...table,
      newAutoCdcWriteBuilder: (info) => ({
        build: async () =>
          Object.assign(await table.newAutoCdcWriteBuilder(info).build(), {
            requiredDistribution: () => Distributions.unspecified(),
            requiredOrdering: () => [asc("v")],
          }),
      }),
    };
  }
}

function rowsOf(feed: ChangeFeed): object[] {
  return memoryTable(feed.name)
    .rows()
    .sort((a, b) => Number(a["id"]) - Number(b["id"]) || Number(a["seq"]) - Number(b["seq"]));
}

const upsert = (id: number, seq: number, v = `v${seq}`): Change => ({ id, v, seq, op: "upsert" });
const removal = (id: number, seq: number): Change => ({ id, v: null, seq, op: "delete" });

describe("any order and any batches", () => {
  it("A merge of SCD type 1 leaves the newest state of each key", async () => {
    await fc.assert(
      fc.asyncProperty(feeds, async ({ changes, batches }) => {
        const feed = new ChangeFeed();
        for (const batch of batches) await feed.merge(batch);
        expect(rowsOf(feed)).toEqual(newestState(changes));
      }),
      { numRuns: 40 },
    );
  });

  it("A merge of SCD type 2 leaves all states of each key with their intervals", async () => {
    await fc.assert(
      fc.asyncProperty(feeds, async ({ changes, batches }) => {
        const feed = new ChangeFeed(TYPE_2);
        for (const batch of batches) await feed.merge(batch);
        expect(rowsOf(feed)).toEqual(allStates(changes));
      }),
      { numRuns: 40 },
    );
  });
});

describe("several partitions", () => {
  it("Tasks exchange the changes by key, so each key has one winner", async () => {
    await fc.assert(
      fc.asyncProperty(feeds, async ({ changes, batches }) => {
        for (const options of [MERGE, TYPE_2]) {
          const feed = new ChangeFeed(options, { numPartitions: 3 });
          for (const batch of batches) await feed.merge(batch);
          expect(rowsOf(feed)).toEqual(options === MERGE ? newestState(changes) : allStates(changes));
        }
      }),
      { numRuns: 10 },
    );
  });

  it("Different changes with one sequence are found in other partitions, too", async () => {
    const feed = new ChangeFeed(MERGE, { numPartitions: 3 });
    const changes = [upsert(1, 5, "x"), upsert(2, 1), upsert(1, 5, "y")];
    await expect(feed.merge(changes)).rejects.toMatchObject({
      code: "SEQUENCE_NOT_UNIQUE",
      where: { partition: 2, row: 1 },
    });
    expect(rowsOf(feed)).toEqual([]);
  });

  it("The change of the first partition stays if the pipeline says so", async () => {
    const feed = new ChangeFeed({ ...MERGE, onEqualSequence: "first" }, { numPartitions: 3 });
    await feed.merge([upsert(1, 5, "x"), upsert(1, 5, "y"), upsert(1, 5, "z")]);
    expect(rowsOf(feed)).toEqual([{ id: 1, v: "x", seq: 5 }]);
  });
});

describe("sequences", () => {
  it("Two different changes of a key with one sequence fail the batch, and nothing is merged", async () => {
    const feed = new ChangeFeed();
    const error = await feed.merge([upsert(1, 1), upsert(2, 5, "x"), upsert(2, 5, "y")]).catch((e) => e);
    expect(error).toMatchObject({
      code: "SEQUENCE_NOT_UNIQUE",
      where: { pipeline: feed.name, batchId: 0, partition: 0, row: 3 },
      hint: expect.stringContaining('onEqualSequence: "first"') as string,
    });
    expect(JSON.stringify(error)).not.toMatch(/"[xy]"/);
    expect(rowsOf(feed)).toEqual([]);
  });

  it("The change that came first stays if the pipeline says so", async () => {
    const feed = new ChangeFeed({ ...MERGE, onEqualSequence: "first" });
    await feed.merge([upsert(1, 5, "first"), upsert(1, 5, "second"), upsert(1, 4), removal(1, 5)]);
    expect(rowsOf(feed)).toEqual([{ id: 1, v: "first", seq: 5 }]);
  });

  it("Equal changes count once", async () => {
    const feed = new ChangeFeed();
    await feed.merge([upsert(1, 5), upsert(1, 5), removal(2, 3), { ...removal(2, 3), v: "before" }]);
    expect(rowsOf(feed)).toEqual([{ id: 1, v: "v5", seq: 5 }]);
  });

  it("Across batches a change with an equal sequence changes nothing", async () => {
    for (const options of [MERGE, TYPE_2]) {
      const feed = new ChangeFeed(options);
      await feed.merge([upsert(1, 5, "first")]);
      await feed.merge([upsert(1, 5, "second")]);
      await feed.merge([removal(1, 5)]);
      expect(rowsOf(feed)).toMatchObject([{ id: 1, v: "first", seq: 5 }]);
    }
  });

  it("Several columns order the changes one after the other", async () => {
    const feed = new ChangeFeed(
      { keys: ["id"], sequenceBy: ["day", "n"] },
      { ddl: "id string, day date, n int" },
    );
    await feed.merge([
      { id: "a", day: "2026-01-02", n: -3 },
      { id: "a", day: "2026-01-01", n: 9 },
      { id: "a", day: "2026-01-02", n: -1 },
    ]);
    await feed.merge([{ id: "a", day: "2026-01-02", n: -2 }]);
    expect(rowsOf(feed)).toEqual([{ id: "a", day: "2026-01-02", n: -1 }]);
  });
});

describe("keys", () => {
  it("A null key or a null sequence fails the batch and says where", async () => {
    const ddl = "id string, part int, seq int";
    const cases = [
      { code: "KEY_IS_NULL", field: "part", row: { id: "b", part: null, seq: 1 } },
      { code: "SEQUENCE_IS_NULL", field: "seq", row: { id: "b", part: 1, seq: null } },
    ];
    for (const { code, field, row } of cases) {
      const feed = new ChangeFeed({ keys: ["id", "part"], sequenceBy: "seq" }, { ddl });
      const error = await feed.merge([{ id: "a", part: 1, seq: 1 }, row]).catch((e) => e);
      expect(error).toMatchObject({ code, where: { partition: 0, row: 2, field } });
      expect(rowsOf(feed)).toEqual([]);
    }
  });

  it("All key columns together identify a row", async () => {
    const ddl = "id string, part int, seq int";
    const feed = new ChangeFeed({ keys: ["id", "part"], sequenceBy: "seq" }, { ddl });
    const row = (id: string, part: number, seq: number) => ({ id, part, seq });
    await feed.merge([row("a", 1, 1), row("a", 2, 1), row("a", 1, 2), row("b", 1, 1)]);
    expect(rowsOf(feed)).toHaveLength(3);
  });
});

describe("tombstones", () => {
  const DAY = 86_400_000;

  it("A late older change does not bring a deleted row back while its tombstone is kept", async () => {
    const feed = new ChangeFeed({ ...MERGE, tombstonesKept: "2 days" });
    await feed.merge([upsert(1, 1), removal(1, 5)]);
    feed.pass(2 * DAY - 1);
    await feed.merge([upsert(1, 4)]);
    expect(rowsOf(feed)).toEqual([]);
    await feed.merge([upsert(1, 6)]);
    expect(rowsOf(feed)).toEqual([{ id: 1, v: "v6", seq: 6 }]);
  });

  it("A tombstone is forgotten after the stated time", async () => {
    const feed = new ChangeFeed({ ...MERGE, tombstonesKept: "2 days" });
    await feed.merge([removal(1, 5), upsert(2, 1)]);
    feed.pass(2 * DAY);
    await feed.merge([upsert(2, 2)]);
    await feed.merge([upsert(1, 4)]);
    expect(rowsOf(feed)).toMatchObject([
      { id: 1, seq: 4 },
      { id: 2, seq: 2 },
    ]);
  });

  it("In SCD type 2 a delete ends late rows before it, however late they are", async () => {
    const feed = new ChangeFeed({ ...TYPE_2, tombstonesKept: "1 day" });
    await feed.merge([upsert(1, 1), removal(1, 5), removal(2, 5)]);
    feed.pass(30 * DAY);
    await feed.merge([upsert(3, 1)]);
    await feed.merge([upsert(1, 3), upsert(2, 4)]);
    expect(rowsOf(feed).slice(0, 3)).toMatchObject([
      { id: 1, __START_AT: 1, __END_AT: 3 },
      { id: 1, __START_AT: 3, __END_AT: 5 },
      { id: 2, __START_AT: 4, __END_AT: 5 },
    ]);
  });

  it("A row that something else removed only comes back with a newer change", async () => {
    for (const options of [MERGE, TYPE_2]) {
      const feed = new ChangeFeed(options);
      await feed.merge([upsert(1, 5)]);
      openTable(feed.name).delete({ replaces: "all" });
      await feed.merge([upsert(1, 5)]);
      if (options === MERGE) await feed.merge([upsert(1, 4)]);
      expect(rowsOf(feed)).toEqual([]);
      await feed.merge([upsert(1, 6)]);
      expect(rowsOf(feed)).toMatchObject([{ id: 1, seq: 6 }]);
    }
  });
});

describe("settings", () => {
  async function refusal(merge: MergeStreamOptions, ddl?: string): Promise<unknown> {
    const feed = new ChangeFeed(merge, ddl === undefined ? {} : { ddl });
    return await feed.merge([]).catch((error) => error);
  }

  it("A column that the rows lack is refused, with the name that is probably meant", async () => {
    const cases: [Partial<MergeStreamOptions>, string][] = [
      [{ keys: ["ids"] }, "did you mean id?"],
      [{ sequenceBy: "sec" }, "did you mean seq?"],
      [{ exceptColumns: ["opp"] }, "did you mean op?"],
    ];
    for (const [change, meant] of cases)
      expect(await refusal({ ...MERGE, ...change })).toMatchObject({
        code: "MERGE_INVALID",
        message: expect.stringContaining(meant) as string,
      });
    const applyAsDeletes = { kind: "EqualTo", attribute: ["opp"], value: "delete" } as const;
    expect(await refusal({ ...MERGE, applyAsDeletes })).toMatchObject({
      code: "FILTER_INVALID",
      message: expect.stringContaining("did you mean op?") as string,
    });
  });

  it("A column that the merge adds, a map as a key, and two sequences of SCD type 2 are refused", async () => {
    const invalid = { code: "MERGE_INVALID" };
    const merge = { keys: ["id"], sequenceBy: "seq" };
    expect(await refusal(merge, "id int, seq int, __sequence binary")).toMatchObject(invalid);
    expect(await refusal(merge, "id map<string, int>, seq int")).toMatchObject(invalid);
    expect(await refusal({ ...merge, storedAsScdType: 2 }, "id int, seq int, __END_AT int")).toMatchObject(
      invalid,
    );
    expect(
      await refusal({ ...merge, sequenceBy: ["seq", "id"], storedAsScdType: 2 }, "id int, seq int"),
    ).toMatchObject(invalid);
  });

  it("The output mode complete beside a merge is refused", async () => {
    const complete = (feed: ChangeFeed) => (feed.pipeline as StreamPipeline).outputMode("complete");
    await expect(runPipeline(complete(new ChangeFeed()))).rejects.toMatchObject({
      code: "MERGE_INVALID",
      hint: expect.stringContaining("outputMode") as string,
    });
  });

  it("A source that is repartitioned or sorted is refused, because a merge distributes its rows by key", async () => {
    const into = { table: "arranged" };
    const arranged: ((source: ChangeSource) => ChangeSource)[] = [
      (source) => source.repartition(3),
      (source) => source.repartitionByRange(2, "v"),
      (source) => source.sortWithinPartitions("v"),
    ];
    for (const arrange of arranged) {
      const to = (source: ChangeSource) => arrange(source).writeStream.format(Memory).options(into);
      const feed = new ChangeFeed(TYPE_2, { to });
      await expect(feed.merge([upsert(1, 1)])).rejects.toMatchObject({
        code: "MERGE_INVALID",
        where: { pipeline: feed.name },
        hint: expect.stringContaining(".repartition()") as string,
      });
    }
  });

  it("A table whose write requires an order of its own is refused, because the changes of a key have theirs", async () => {
    const to = (source: ChangeSource) => source.writeStream.format(SortedTable).options({ table: "sorted" });
    await expect(new ChangeFeed(MERGE, { to }).merge([upsert(1, 1)])).rejects.toMatchObject({
      code: "DISTRIBUTION_INVALID",
      hint: expect.stringContaining("requiredDistribution()") as string,
    });
  });

  it("A sink that cannot merge is refused, and the hint names sinks that can", async () => {
    const to = (source: ChangeSource) => source.writeStream.format(ArrowTable);
    await expect(runPipeline(new ChangeFeed(MERGE, { to }).pipeline)).rejects.toMatchObject({
      code: "WRITE_NOT_SUPPORTED",
      hint: expect.stringContaining("postgres, dynamodb or rest-api") as string,
    });
  });

  it("A run shows how many changes were merged, superseded and repeated", async () => {
    const feed = new ChangeFeed();
    const { state } = await feed.merge([
      upsert(1, 1),
      upsert(1, 2),
      upsert(1, 3),
      upsert(1, 3),
      upsert(2, 1),
    ]);
    const batch = await state.ledger.batch(feed.name, 0);
    expect(batch?.progress?.metrics).toEqual({
      "changes merged": "2",
      "changes staged": "2",
      "changes superseded in the batch": "2",
      "changes repeated in the batch": "1",
    });
  });
});
