import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { RecordBatch } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { type LogFile, type Operation, readEntry } from "../../../shared/connectors/arrow-table/log-entry.ts";
import { liveFiles } from "../../../shared/connectors/arrow-table/open-state.ts";
import { readFiles, readTable } from "../../../shared/connectors/arrow-table/read.ts";
import { ArrowTableWriter, type TableRows } from "../../../shared/connectors/arrow-table/writer.ts";
import { filesOf } from "../../../shared/connectors/kit/staging.ts";
import type { BatchContext } from "../../../shared/contract/context.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import type { Row } from "../../../shared/contract/stream-reader.ts";
import { stagedFiles } from "../../support/table.ts";
import { Desk } from "./table-desk.ts";

const DDL = "id bigint, p string";
const DYNAMIC = "overwritePartitions";
type PartRow = readonly [id: number, p: string | null];

async function* batchesOf(ddl: string, ...groups: readonly (readonly Row[])[]): AsyncGenerator<RecordBatch> {
  for (const rows of groups) yield recordBatchOf(parseDdl(ddl), rows);
}

/** A table with the partition column `p`. */
class PartitionDesk extends Desk {
  writerOf(
    operation: Operation,
    partitionBy: readonly string[] | undefined = ["p"],
    ddl = DDL,
  ): ArrowTableWriter {
    return new ArrowTableWriter(
      { schema: parseDdl(ddl), operation, partitionBy },
      this.world.ports().runtime,
    );
  }

  async stageRows(rows: readonly PartRow[], overrides: Partial<BatchContext> = {}): Promise<TableRows> {
    return await this.writerOf("append").write(batchesOf(DDL, rows), this.task(overrides));
  }

  /** Writes and commits the rows of one task. */
  async land(
    operation: Operation,
    rows: readonly PartRow[],
    overrides: Partial<BatchContext> = {},
  ): Promise<readonly TableRows[]> {
    const context = this.context(overrides);
    const messages = [await this.stageRows(rows, context)];
    await this.writerOf(operation).commit(messages, context.batchId, context);
    return messages;
  }

  async rows(): Promise<PartRow[]> {
    const rows: PartRow[] = [];
    for await (const batch of readTable(this.table))
      for (const row of rowsOf(batch)) rows.push([Number(row["id"]), row["p"] as string | null]);
    return rows.sort(([a], [b]) => a - b);
  }
}

/** Returns a desk whose puts of log entries go through `around`. */
function deskAround(around: (put: () => Promise<boolean>) => Promise<boolean>): PartitionDesk {
  return new PartitionDesk((store) => {
    const at = store.at.bind(store);
    store.at = (folder) => {
      const part = at(folder);
      const put = part.put.bind(part);
      part.put = (key, body) => (key.startsWith("_log/") ? around(() => put(key, body)) : put(key, body));
      return part;
    };
    return store;
  });
}

describe("an Arrow table with partitions", () => {
  it("A partitioned Arrow table has files of one value each, which its log entry names", async () => {
    const desk = new PartitionDesk();
    await desk.land("append", [
      [1, "a"],
      [2, null],
      [3, "x/ü=%\u0001"],
      [4, "a"],
      [5, ""],
    ]);
    const entry = await readEntry(desk.table, 0);
    expect(entry).toMatchObject({ format: 3, operation: "append", partitionBy: ["p"] });
    expect(entry.add.map(({ rows, partition }) => [rows, partition])).toEqual([
      [2, { p: "a" }],
      [1, { p: null }],
      [1, { p: "x/ü=%\u0001" }],
      [1, { p: "" }],
    ]);
    expect(entry.add.map(({ path }) => path.split("/").slice(3, -1))).toEqual([
      ["p=a"],
      ["p=__HIVE_DEFAULT_PARTITION__"],
      ["p=x%2Fü%3D%25%01"],
      ["p=__HIVE_DEFAULT_PARTITION__"],
    ]);
    const [file] = entry.add;
    const ids: unknown[] = [];
    for await (const batch of readFiles(desk.table, file === undefined ? [] : [file]))
      for (const row of rowsOf(batch)) ids.push(row["id"], row["p"]);
    expect(ids).toEqual([1, "a", 4, "a"]);
  });

  it("A dynamic overwrite replaces the partitions of its rows and leaves the others, also when called again", async () => {
    const desk = new PartitionDesk();
    await desk.land("append", [
      [1, "a"],
      [2, "b"],
      [3, null],
    ]);
    await desk.land("append", [[4, "a"]], { batchId: 1 });
    const messages = await desk.land(
      DYNAMIC,
      [
        [5, "a"],
        [6, null],
        [7, "c"],
      ],
      { batchId: 2 },
    );
    const expected = [
      [2, "b"],
      [5, "a"],
      [6, null],
      [7, "c"],
    ];
    expect(await desk.rows()).toEqual(expected);
    expect(await readEntry(desk.table, 2)).toMatchObject({ operation: DYNAMIC });
    await desk.writerOf(DYNAMIC).commit(messages, 2, desk.context({ batchId: 2 }));
    expect(await desk.rows()).toEqual(expected);
    await expect(readEntry(desk.table, 3)).rejects.toMatchObject({ code: "TABLE_LOG_BROKEN" });
  });

  it("A dynamic overwrite tells null from the empty text, which are in one folder", async () => {
    const desk = new PartitionDesk();
    await desk.land("append", [
      [1, null],
      [2, ""],
    ]);
    await desk.land(DYNAMIC, [[3, ""]], { batchId: 1 });
    expect(await desk.rows()).toEqual([
      [1, null],
      [3, ""],
    ]);
  });

  it("A dynamic overwrite without rows removes nothing, and one of a skipped batch neither", async () => {
    const desk = new PartitionDesk();
    await desk.land("append", [[1, "a"]]);
    await desk.land(DYNAMIC, [], { batchId: 1 });
    await desk.writerOf(DYNAMIC).commit([], 2, desk.context({ batchId: 2 }));
    expect(await desk.rows()).toEqual([[1, "a"]]);
    expect(await readEntry(desk.table, 2)).toMatchObject({
      format: 3,
      operation: "append",
      partitionBy: ["p"],
    });
  });

  it("An overwrite of all rows removes every partition", async () => {
    const desk = new PartitionDesk();
    await desk.land("append", [
      [1, "a"],
      [2, "b"],
    ]);
    await desk.land("overwrite", [[3, "c"]], { batchId: 1 });
    expect(await desk.rows()).toEqual([[3, "c"]]);
  });

  it("Dynamic overwrites of several pipelines that race each see what the others have committed", async () => {
    const desk = new PartitionDesk();
    await desk.land("append", [
      [100, "a"],
      [101, "b"],
    ]);
    const pipelines = Array.from({ length: 8 }, (_, i) => `racer-${i}`);
    await Promise.all(
      pipelines.map((pipeline, i) =>
        desk.land(
          DYNAMIC,
          [
            [i, "a"],
            [i + 10, `own-${i}`],
          ],
          { pipeline },
        ),
      ),
    );
    const rows = await desk.rows();
    // The last one of them has replaced what the others wrote to the partition that they share.
    expect(rows.filter(([, p]) => p === "a")).toHaveLength(1);
    expect(rows.filter(([, p]) => p?.startsWith("own-"))).toHaveLength(8);
    expect(rows.filter(([, p]) => p === "b")).toEqual([[101, "b"]]);
  });

  it("A dynamic overwrite whose version another pipeline takes removes the files of that commit too", async () => {
    let interrupt: (() => Promise<unknown>) | undefined;
    const desk = deskAround(async (put) => {
      const first = interrupt;
      interrupt = undefined;
      await first?.();
      return await put();
    });
    await desk.land("append", [[1, "a"]]);
    interrupt = () =>
      desk.land(
        "append",
        [
          [2, "a"],
          [3, "b"],
        ],
        { pipeline: "clicks" },
      );
    await desk.land(DYNAMIC, [[4, "a"]], { batchId: 1 });
    expect(interrupt).toBeUndefined();
    expect(await desk.rows()).toEqual([
      [3, "b"],
      [4, "a"],
    ]);
    expect((await readEntry(desk.table, 2)).remove).toHaveLength(2);
  });

  it.each(["before", "after"] as const)(
    "A dynamic overwrite that is cut off %s its log entry is there is committed once by the next try",
    async (when) => {
      let isCut = false;
      const desk = deskAround(async (put) => {
        const isDoomed = isCut;
        isCut = false;
        const created = isDoomed && when === "before" ? false : await put();
        if (isDoomed) throw new Error("connection reset");
        return created;
      });
      await desk.land("append", [
        [1, "a"],
        [2, "b"],
      ]);
      const context = desk.context({ batchId: 1 });
      const messages = [await desk.stageRows([[3, "a"]], context)];
      isCut = true;
      await expect(desk.writerOf(DYNAMIC).commit(messages, 1, context)).rejects.toThrow("connection reset");
      expect(await desk.writerOf(DYNAMIC).hasCommitted(1, context)).toBe(when === "after");
      await desk.writerOf(DYNAMIC).commit(messages, 1, context);
      expect(await desk.rows()).toEqual([
        [2, "b"],
        [3, "a"],
      ]);
    },
  );

  it("An aborted batch deletes the files of all its partitions, unless its commit was tried", async () => {
    const desk = new PartitionDesk();
    const rows: PartRow[] = [
      [1, "a"],
      [2, "b"],
    ];
    const [tried, other] = [await desk.stageRows(rows), await desk.stageRows(rows)];
    const writer = desk.writerOf(DYNAMIC);
    await writer.abort([tried], 0, desk.context({ commitTried: true }));
    await writer.abort([other, null], 0, desk.context());
    expect(stagedFiles(desk.path).sort()).toEqual(
      filesOf<LogFile>(tried)
        .map(({ path }) => path)
        .sort(),
    );
    expect(await writer.findDamaged([tried, other], desk.context())).toHaveLength(2);
  });

  it.each([
    ["with other partition columns", ["id"], "append"],
    ["without partition columns", undefined, "append"],
    ["with other partition columns, in an overwrite,", ["p", "id"], "overwrite"],
  ] as const)("A writer %s is refused by a partitioned table", async (_what, partitionBy, operation) => {
    const desk = new PartitionDesk();
    await desk.land("append", [[1, "a"]]);
    const context = desk.context({ batchId: 1 });
    const writer = desk.writerOf(operation, partitionBy ?? undefined);
    const plain = new ArrowTableWriter({ schema: parseDdl(DDL), operation }, desk.world.ports().runtime);
    const committed = (partitionBy === undefined ? plain : writer).commit([null], 1, context);
    await expect(committed).rejects.toMatchObject({
      code: "TABLE_PARTITIONS_MISMATCH",
      message: expect.stringContaining('the table was made with partitionBy: ["p"]') as string,
    });
    expect(await desk.rows()).toEqual([[1, "a"]]);
  });

  it("A partitioned writer is refused by a table without partitions, also with the hint of its last commit", async () => {
    const desk = new PartitionDesk();
    const plain = new ArrowTableWriter(
      { schema: parseDdl(DDL), operation: "append" },
      desk.world.ports().runtime,
    );
    const lastCommit = (await plain.commit([null], 0, desk.context())) as never;
    const context = desk.context({ batchId: 1, lastCommit });
    await expect(desk.writerOf("append").commit([null], 1, context)).rejects.toMatchObject({
      code: "TABLE_PARTITIONS_MISMATCH",
    });
  });

  it("A batch that was staged with other partition columns is not committed", async () => {
    const desk = new PartitionDesk();
    const staged = await desk.stageRows([[1, "a"]]);
    await expect(desk.writerOf("append", ["id"]).commit([staged], 0, desk.context())).rejects.toMatchObject({
      code: "TABLE_PARTITIONS_MISMATCH",
    });
    expect(await desk.rows()).toEqual([]);
  });

  it.each([
    ["q", 'the rows have no field "q", which partitionBy names'],
    ["f", 'partitionBy names the field "f", which is double'],
    ["l", 'partitionBy names the field "l", which is array<bigint>'],
  ])("A partition column %s that cannot divide rows is refused", async (column, problem) => {
    const desk = new PartitionDesk();
    const ddl = "id bigint, f double, l array<bigint>";
    const writer = desk.writerOf("append", [column], ddl);
    await expect(writer.write(batchesOf(ddl), desk.task())).rejects.toMatchObject({
      code: "OPTIONS_INVALID",
      message: expect.stringContaining(`arrow-table: ${problem}`) as string,
    });
  });

  it("Values of each type of partition column are found again by a dynamic overwrite", async () => {
    const ddl = "id bigint, b boolean, n bigint, d decimal(20,2), day date, t timestamp";
    const columns = ["b", "n", "d", "day", "t"];
    const values = [
      true,
      2n ** 60n + 1n,
      "123456789012345678.90",
      "2026-11-28",
      "2026-11-28T12:25:06.000001Z",
    ];
    const desk = new PartitionDesk();
    const land = async (operation: Operation, batchId: number, rows: readonly Row[]) => {
      const writer = desk.writerOf(operation, columns, ddl);
      const context = desk.context({ batchId });
      const staged = await writer.write(batchesOf(ddl, rows), desk.task(context));
      await writer.commit([JSON.parse(JSON.stringify(staged)) as TableRows], batchId, context);
    };
    const changed = (i: number) => values.map((value, j) => (i === j ? null : value));
    await land("append", 0, [[0, ...values], ...values.map((_, i) => [i + 1, ...changed(i)])]);
    await land(DYNAMIC, 1, [[10, ...values]]);
    expect(await desk.ids()).toEqual([1, 2, 3, 4, 5, 10]);
    expect((await readEntry(desk.table, 1)).add[0]?.partition).toEqual({
      b: true,
      n: "1152921504606846977",
      d: "123456789012345678.90",
      day: "2026-11-28",
      t: "2026-11-28T12:25:06.000001Z",
    });
  });

  it("A value that is too long to name a folder is refused, and no file of its task stays", async () => {
    const desk = new PartitionDesk();
    const long = desk.stageRows([
      [1, "a"],
      [2, "x".repeat(300)],
    ]);
    await expect(long).rejects.toMatchObject({ code: "ROW_MISMATCH", where: { field: "p" } });
    expect(stagedFiles(desk.path)).toEqual([]);
  });

  it("Checkpoints carry the partitions, and commits that begin with one still refuse and replace", async () => {
    const desk = new PartitionDesk();
    for (let batchId = 0; batchId < 40; batchId++)
      await desk.land("append", [[batchId, batchId % 2 === 0 ? "even" : "odd"]], { batchId });
    const headers = await Array.fromAsync(desk.table.list("_checkpoints/headers/"));
    const header = JSON.parse(readFileSync(join(desk.path, headers.at(-1)?.key ?? ""), "utf8")) as object;
    expect(header).toMatchObject({ format: 2, partitionBy: ["p"] });
    await desk.land(DYNAMIC, [[100, "even"]], { batchId: 40 });
    expect((await readEntry(desk.table, 40)).remove).toHaveLength(20);
    expect((await desk.rows()).map(([id]) => id)).toEqual([
      ...Array.from({ length: 20 }, (_, i) => 2 * i + 1),
      100,
    ]);
  });

  it("A vacuum of a partitioned table deletes what no entry names, page after page, and no other file", async () => {
    const desk = new PartitionDesk();
    const committed: string[] = [];
    for (let batchId = 0; batchId < 6; batchId++) {
      await desk.stageRows([[batchId, "dead"]], { batchId });
      const messages = await desk.land(batchId === 5 ? DYNAMIC : "append", [[batchId, `p${batchId % 2}`]], {
        batchId,
      });
      committed.push(...messages.flatMap(filesOf<LogFile>).map(({ path }) => path));
    }
    expect(await desk.vacuum({ dryRun: true })).toMatchObject({ files: 8 });
    expect(await desk.vacuum()).toMatchObject({ files: 8 });
    const live = (await Array.fromAsync(liveFiles(desk.table))).map(({ path }) => path);
    expect(live).toHaveLength(4);
    expect(stagedFiles(desk.path).sort()).toEqual(live.sort());
  });
});
