import type { RecordBatch } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { entryProblem } from "../../../shared/connectors/arrow-table/entry-checks.ts";
import { putPartitions } from "../../../shared/connectors/arrow-table/partition-files.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import type { ObjectStore } from "../../../shared/contract/object-store.ts";
import type { Row } from "../../../shared/contract/stream-reader.ts";
import { MemoryStore, memoryObjects } from "../../../shared/platform/memory/memory-store.ts";

const DDL = "id bigint, p string";

async function* batchesOf(...groups: readonly (readonly Row[])[]): AsyncGenerator<RecordBatch> {
  for (const rows of groups) yield recordBatchOf(parseDdl(DDL), rows);
}

describe("the files of partitions", () => {
  const layout = (overrides: object) => ({
    schema: parseDdl(DDL),
    partitionBy: ["p"],
    id: "1",
    keyOf: (folder: string, id: string) => `${folder}${id}.arrow`,
    ...overrides,
  });
  const keysOf = async (store: ObjectStore) => (await Array.fromAsync(store.list(""))).map(({ key }) => key);

  it("A task that holds as many rows as it may writes them before it reads on", async () => {
    const store = new MemoryStore(memoryObjects(() => 0));
    const seen: number[] = [];
    async function* watched() {
      for (let id = 0; id < 4; id++) {
        seen.push((await keysOf(store)).length);
        yield* batchesOf([
          [id, "a"],
          [id, "b"],
        ]);
      }
    }
    const files = await putPartitions(store, layout({ chunkBytes: 1 }), watched());
    expect(seen).toEqual([0, 2, 4, 6]);
    expect(files.map(({ partition }) => partition?.["p"])).toEqual(["a", "b", "a", "b", "a", "b", "a", "b"]);
  });

  it("A task that would write too many files is refused, and deletes what it has written", async () => {
    const store = new MemoryStore(memoryObjects(() => 0));
    const rows = (from: number): Row[] => [0, 1].map((i) => [i, `p${from + i}`]);
    const written = putPartitions(store, layout({ chunkBytes: 1, maxFiles: 3 }), batchesOf(rows(0), rows(2)));
    await expect(written).rejects.toMatchObject({ code: "TABLE_PARTITIONS_TOO_MANY" });
    expect(await keysOf(store)).toEqual([]);
  });
});

describe("a log entry with partitions", () => {
  const file = { path: "data/orders/life-1/p=1/x.arrow", rows: 1, bytes: 1, partition: { p: 1 } };
  const entry = {
    version: 0,
    timestamp: "2026-11-21T00:00:00.000Z",
    operation: "append",
    pipeline: "orders",
    incarnation: "life-1",
    batchId: 0,
    format: 3,
    planId: "plan-0",
    schema: { fields: [{ name: "p", type: "int", nullable: true }] },
    partitionBy: ["p"],
    add: [file],
    remove: [],
  };

  it("An entry whose files say their values is right", () => {
    expect(entryProblem(entry, 0)).toBeUndefined();
  });

  it.each([
    ["partitionBy must be an array, but is a string", { partitionBy: "p" }],
    ["partitionBy must not be empty", { partitionBy: [] }],
    ["partitionBy[1] must be a name that is not there yet", { partitionBy: ["p", "p"] }],
    ["partitionBy has a name that is not in schema", { partitionBy: ["q"] }],
    ["partitionBy is there, and format is 2", { format: 2 }],
    ["add[0].partition is missing", { add: [{ ...file, partition: undefined }] }],
    ["add[0].partition must have the names of partitionBy", { add: [{ ...file, partition: { q: 1 } }] }],
    ["add[0].partition must have values that are", { add: [{ ...file, partition: { p: 1.5 } }] }],
    ["add[0].partition must have values that are", { add: [{ ...file, partition: { p: {} } }] }],
    ["partitionBy is missing", { partitionBy: undefined }],
  ])("An entry is refused because %s", (problem, change) => {
    const changed = JSON.parse(JSON.stringify({ ...entry, ...change })) as unknown;
    expect(entryProblem(changed, 0)).toContain(problem);
  });

  it("A dynamic overwrite of a table without partitions is refused", () => {
    const { partitionBy: _, ...plain } = entry;
    const changed = { ...plain, format: 2, operation: "overwritePartitions", add: [] };
    expect(entryProblem(changed, 0)).toBe("operation must be append or overwrite");
  });
});
