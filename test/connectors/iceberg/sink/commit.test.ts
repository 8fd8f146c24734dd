import { describe, expect, it } from "vitest";
import { decodeManifestList } from "../../../../shared/connectors/iceberg/format/manifest-list.ts";
import type { TableMetadata } from "../../../../shared/connectors/iceberg/format/types.ts";
import { filesOf } from "../../../../shared/connectors/iceberg/sink/open-table.ts";
import { MillraceError } from "../../../../shared/contract/errors.ts";
import { Desk } from "./desk.ts";

const lost = new MillraceError("CATALOG_FAILED", "the answer is lost", { retryable: true });
const coded = (code: string) => expect.objectContaining({ code }) as Error;
const markersOf = ({ properties }: TableMetadata) =>
  Object.keys(properties).filter((key) => key.startsWith("millrace.orders."));

describe("a commit to an Iceberg table", () => {
  it("Each batch is one snapshot with a marker, and its rows are read once", async () => {
    const desk = new Desk();
    await desk.write(0, [1, 2]);
    await desk.write(1, [3]);
    const metadata = await desk.metadata();
    expect(metadata.snapshots.map(({ summary }) => summary)).toMatchObject([
      { operation: "append", "added-records": "2", "total-records": "2", "millrace.batch-id": "0" },
      { operation: "append", "added-records": "1", "total-records": "3", "millrace.batch-id": "1" },
    ]);
    expect(markersOf(metadata)).toHaveLength(1);
    expect(await desk.ids()).toEqual([1, 2, 3]);
  });

  it("A batch that is committed again adds nothing, also after its snapshot has expired", async () => {
    const desk = new Desk();
    const first = await desk.write(0, [1]);
    await desk.write(1, [2]);
    const second = await desk.write(2, [3]);
    await desk.finalize(second);
    expect(desk.commits).toHaveLength(3);
    await desk.asOther(({ snapshots }) => [
      {
        action: "remove-snapshots",
        "snapshot-ids": snapshots.slice(0, 2).map((each) => each["snapshot-id"]),
      },
    ]);
    await desk.finalize(second);
    expect(desk.commits).toHaveLength(3);
    await expect(desk.finalize(first)).rejects.toThrow(coded("LEDGER_BEHIND_SINK"));
    expect(await desk.ids()).toEqual([1, 2, 3]);
  });

  it("A batch is recognized by its snapshot id if the catalog drops properties", async () => {
    const desk = new Desk();
    const staged = await desk.write(0, [1]);
    await desk.asOther((metadata) => [{ action: "remove-properties", removals: markersOf(metadata) }]);
    await desk.finalize(staged);
    expect(desk.commits).toHaveLength(1);
    expect(await desk.sink.hasCommitted(0, staged.batch)).toBe(true);
    expect(await desk.sink.newestBatch(staged.batch)).toMatchObject({ batchId: 0, planId: "plan-0" });
  });

  it("An answer that is lost after the commit is read back, and the batch is there once", async () => {
    const desk = new Desk();
    desk.deed = async (commit, _request, attempt) => {
      const outcome = await commit();
      return attempt === 1 ? { outcome: "unknown", cause: lost } : outcome;
    };
    await desk.write(0, [1]);
    expect(desk.commits).toHaveLength(1);
    expect(await desk.ids()).toEqual([1]);
  });

  it("A request that is lost is sent again", async () => {
    const desk = new Desk();
    desk.deed = async (commit, _request, attempt) =>
      attempt === 1 ? { outcome: "unknown", cause: lost } : await commit();
    await desk.write(0, [1]);
    expect(desk.commits).toHaveLength(2);
    expect(await desk.ids()).toEqual([1]);
  });

  it("A request that arrives after the one that replaced it adds nothing", async () => {
    const desk = new Desk();
    const late: (() => Promise<unknown>)[] = [];
    desk.deed = async (commit, _request, attempt) => {
      if (attempt > 1) return await commit();
      late.push(commit);
      return { outcome: "unknown", cause: lost };
    };
    await desk.write(0, [1]);
    expect(await late[0]?.()).toMatchObject({ outcome: "conflict" });
    expect((await desk.metadata()).snapshots).toHaveLength(1);
    expect(await desk.ids()).toEqual([1]);
  });

  it("A commit of another pipeline in between is a conflict, and both batches are there", async () => {
    const desk = new Desk();
    const mine = await desk.stage({ tasks: [[{ id: 1 }]] });
    let isFirst = true;
    desk.deed = async (commit) => {
      if (!isFirst) return await commit();
      isFirst = false;
      await desk.write(0, [2], { context: { pipeline: "returns" } });
      return await commit();
    };
    await desk.finalize(mine);
    expect(desk.commits).toHaveLength(3);
    expect(await desk.ids()).toEqual([1, 2]);
    const { snapshots } = await desk.metadata();
    expect(snapshots.map(({ summary }) => summary["millrace.pipeline"])).toEqual(["returns", "orders"]);
    expect(snapshots[1]?.["parent-snapshot-id"]).toBe(snapshots[0]?.["snapshot-id"]);
  });

  it("The manifest of a batch is written once, however often its commit is tried", async () => {
    const desk = new Desk();
    desk.deed = async (commit, _request, attempt) =>
      attempt < 4 ? { outcome: "conflict", reason: "another writer" } : await commit();
    await desk.write(0, [1]);
    const files = await desk.files("metadata/");
    expect(files.filter((key) => key.endsWith("-m0.avro"))).toHaveLength(1);
    expect(files.filter((key) => key.startsWith("metadata/snap-"))).toHaveLength(4);
  });

  it("Conflicts without end are an error that may be tried again, and name nothing as lost", async () => {
    const desk = new Desk();
    desk.deed = async () => ({ outcome: "conflict", reason: "another writer" });
    const staged = await desk.stage();
    const error = await desk.finalize(staged).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "COMMIT_CONFLICTS", retryable: true });
    expect(desk.commits).toHaveLength(20);
    desk.deed = (commit) => commit();
    await desk.finalize(staged);
    expect(await desk.ids()).toEqual([1]);
  });

  it("An outcome that stays unknown keeps the catalog's own error", async () => {
    const desk = new Desk();
    desk.deed = async () => ({ outcome: "unknown", cause: lost });
    await expect(desk.finalize(await desk.stage())).rejects.toThrow(lost);
  });

  it("Staged files stay when a commit was tried, and go when none was", async () => {
    const desk = new Desk();
    const staged = await desk.stage();
    await desk.abort({ ...staged, batch: { ...staged.batch, commitTried: true } });
    expect(await desk.files("data/")).toHaveLength(1);
    await desk.abort(staged);
    expect(await desk.files("data/")).toEqual([]);
  });

  it("A batch of the same id with another plan is refused, and nothing is written", async () => {
    const desk = new Desk();
    await desk.write(0, [1]);
    const other = await desk.stage({ context: { planId: "another" } });
    await expect(desk.finalize(other)).rejects.toThrow(coded("LEDGER_BEHIND_SINK"));
    expect(desk.commits).toHaveLength(1);
  });

  it("A table that was dropped and made anew after the plan is refused", async () => {
    const desk = new Desk();
    const staged = await desk.stage();
    const uuid = "22222222-2222-4222-8222-222222222222";
    const other = { ...staged, fields: (await new Desk().stage()).fields };
    expect(other.fields).not.toEqual(staged.fields);
    await expect(
      desk.finalize({
        ...other,
        messages: staged.messages.map((message) => message && { ...message, tableUuid: uuid }),
      }),
    ).rejects.toThrow(coded("TABLE_REPLACED"));
  });

  it("A batch without rows is a snapshot without files, so that its marker is there", async () => {
    const desk = new Desk();
    await desk.write(0, [], { tasks: [[]] });
    const { snapshots } = await desk.metadata();
    expect(snapshots).toHaveLength(1);
    expect(await desk.sink.newestBatch(desk.context())).toMatchObject({ batchId: 0 });
    expect(await desk.rows()).toEqual([]);
  });

  it("A batch that was skipped by hand is recorded without its rows", async () => {
    const desk = new Desk();
    await desk.write(0, [1]);
    const staged = await desk.stage({ context: { batchId: 1 } });
    await desk.finalize({ ...staged, messages: [] });
    expect(await desk.ids()).toEqual([1]);
    expect(await desk.sink.newestBatch(desk.context())).toMatchObject({ batchId: 1 });
  });
});

describe("the columns of an Iceberg table", () => {
  it("A new column is added in the same request as the rows", async () => {
    const desk = new Desk();
    await desk.write(0, [1]);
    const wider = { ddl: "id bigint, note string", onSchemaChange: "evolve" as const };
    await desk.write(1, [], { ...wider, tasks: [[{ id: 2, note: "x" }]] });
    expect(desk.commits.at(-1)?.updates.map(({ action }) => action)).toEqual([
      "add-schema",
      "set-current-schema",
      "add-snapshot",
      "set-snapshot-ref",
      "set-properties",
    ]);
    expect(await desk.rows()).toEqual(
      expect.arrayContaining([
        { id: 1, note: null },
        { id: 2, note: "x" },
      ]),
    );
  });

  it("A column that the table lacks is refused when the batch is planned, and named", async () => {
    const desk = new Desk();
    await desk.write(0, [1]);
    const planned = desk.stage({ ddl: "id bigint, note string", tasks: [], context: { batchId: 1 } });
    await expect(planned).rejects.toThrow(/note/);
  });

  it("A column that is to be ignored is left out, and the other columns are written", async () => {
    const desk = new Desk();
    await desk.write(0, [1]);
    await desk.write(1, [], {
      ddl: "id bigint, note string",
      onSchemaChange: "ignore",
      tasks: [[{ id: 2, note: "x" }]],
    });
    expect(await desk.rows()).toEqual(expect.arrayContaining([{ id: 1 }, { id: 2 }]));
  });

  it("Two pipelines that add the same column at once both commit", async () => {
    const desk = new Desk();
    await desk.write(0, [1]);
    const wider = { ddl: "id bigint, note string", onSchemaChange: "evolve" as const };
    const first = await desk.stage({ ...wider, tasks: [[{ id: 2, note: "a" }]], context: { batchId: 1 } });
    const second = await desk.stage({
      ...wider,
      tasks: [[{ id: 3, note: "b" }]],
      context: { pipeline: "returns" },
    });
    await desk.finalize(first, wider);
    await desk.finalize(second, wider);
    expect(await desk.ids()).toEqual([1, 2, 3]);
    expect((await desk.metadata()).schemas).toHaveLength(2);
  });

  it("A batch whose field ids another writer has taken meanwhile is refused", async () => {
    const desk = new Desk();
    await desk.write(0, [1]);
    const wider = { onSchemaChange: "evolve" as const };
    const first = { ...wider, ddl: "id bigint, note string" };
    const second = { ...wider, ddl: "id bigint, price double" };
    const staged = await desk.stage({ ...first, tasks: [[{ id: 2, note: "a" }]], context: { batchId: 1 } });
    await desk.write(0, [], { ...second, tasks: [[{ id: 3, price: 1 }]], context: { pipeline: "returns" } });
    await expect(desk.finalize(staged, first)).rejects.toThrow(coded("TABLE_CHANGED"));
    const again = await desk.stage({
      ...first,
      tasks: [[{ id: 2, note: "a" }]],
      context: { batchId: 1, attempt: 2 },
    });
    await desk.finalize(again, first);
    expect(await desk.rows()).toEqual(
      expect.arrayContaining([
        { id: 1, price: null, note: null },
        { id: 2, price: null, note: "a" },
        { id: 3, price: 1, note: null },
      ]),
    );
  });
});

describe("an overwrite of an Iceberg table", () => {
  it("All rows are replaced, and the files before are marked as deleted in the snapshot", async () => {
    const desk = new Desk();
    await desk.write(0, [1, 2]);
    await desk.write(1, [3]);
    await desk.write(2, [4], { replaces: "all" });
    expect(await desk.ids()).toEqual([4]);
    const { snapshots } = await desk.metadata();
    expect(snapshots.at(-1)?.summary).toMatchObject({
      operation: "overwrite",
      "deleted-data-files": "2",
      "deleted-records": "3",
      "total-records": "1",
      "total-data-files": "1",
    });
  });

  it("Only the partitions of the new rows are replaced", async () => {
    const desk = new Desk({ partitionBy: ["day"] });
    const ddl = "id bigint, day date";
    const row = (id: number, day: string) => ({ id, day });
    await desk.write(0, [], {
      ddl,
      tasks: [[row(1, "2026-01-01"), row(2, "2026-01-02"), row(3, "2026-01-01")]],
    });
    await desk.write(1, [], { ddl, replaces: "partitions", tasks: [[row(4, "2026-01-01")]] });
    expect(await desk.ids()).toEqual([2, 4]);
  });
});

describe("the manifests of an Iceberg table", () => {
  it("Manifests are merged above 100, and each row is still read once", async () => {
    const desk = new Desk({ properties: { "commit.manifest.min-count-to-merge": "5" } });
    for (let batchId = 0; batchId < 23; batchId++) await desk.write(batchId, [batchId]);
    expect(await desk.ids()).toEqual(Array.from({ length: 23 }, (_, i) => i));
    const { snapshots } = await desk.metadata();
    expect(snapshots.at(-1)?.summary).toMatchObject({ "total-data-files": "23" });
    const manifests = (await desk.files("metadata/")).filter((key) => /-m\d+\.avro$/.test(key));
    expect(manifests.length).toBeGreaterThan(23);
    const loaded = await desk.load();
    const list = await filesOf(desk.parts, loaded).read(snapshots.at(-1)?.["manifest-list"] ?? "");
    expect(decodeManifestList(list).length).toBeLessThanOrEqual(6);
  });
});

describe("the save mode of an Iceberg table", () => {
  it("A table that planning has just created does not exist yet for the save mode", async () => {
    const desk = new Desk();
    expect(await desk.sink.exists()).toBe(false);
    const staged = await desk.stage();
    expect(await desk.sink.exists()).toBe(false);
    await desk.finalize(staged);
    expect(await desk.sink.exists()).toBe(true);
  });

  it("An empty table that another program has created exists", async () => {
    const desk = new Desk();
    await desk.stage();
    await desk.asOther(() => [{ action: "remove-properties", removals: ["millrace.created"] }]);
    expect(await desk.sink.exists()).toBe(true);
  });

  it("A table without rows takes the columns of the batch, if a first run with other ones failed", async () => {
    const desk = new Desk();
    await desk.stage({ ddl: "id double, wrong int, tags array<int>", tasks: [] });
    const ddl = "id bigint, name string, tags array<int>";
    const row = { id: 1, name: "a", tags: [7] };
    await desk.write(0, [], { ddl, tasks: [[row]] });
    expect(await desk.rows()).toEqual([row]);
    const { schemas } = await desk.metadata();
    expect(schemas.at(-1)?.fields.map(({ id, name, type }) => [id, name, typeof type])).toEqual([
      [5, "id", "string"],
      [6, "name", "string"],
      [3, "tags", "object"],
    ]);
    await expect(desk.stage({ ddl: "id double", context: { batchId: 1 }, tasks: [] })).resolves.toBeDefined();
    await expect(
      desk.stage({ ddl: "id bigint, other int", context: { batchId: 1 }, tasks: [] }),
    ).rejects.toThrow(coded("SCHEMA_CHANGED"));
  });

  it("Columns of a table that got rows in the meantime are not replaced", async () => {
    const desk = new Desk();
    await desk.stage({ ddl: "id bigint, wrong int", tasks: [] });
    const other = { ddl: "id bigint, wrong string" };
    const mine = await desk.stage({
      ...other,
      tasks: [[{ id: 1, wrong: "x" }]],
      context: { pipeline: "returns" },
    });
    const first = { ddl: "id bigint, wrong int" };
    await desk.write(0, [], { ...first, tasks: [[{ id: 1, wrong: 2 }]] });
    await expect(desk.finalize(mine, other)).rejects.toThrow(coded("TABLE_CHANGED"));
    expect(await desk.rows()).toEqual([{ id: 1, wrong: 2 }]);
  });

  it("A table with another partitioning than the option says is refused when the batch is planned", async () => {
    const desk = new Desk({ partitionBy: ["bucket(4, id)"] });
    await desk.write(0, [1]);
    (desk.parts.options as { partitionBy?: string[] }).partitionBy = ["bucket(8, id)"];
    await expect(desk.stage({ context: { batchId: 1 } })).rejects.toThrow(coded("PARTITIONING_DIFFERS"));
  });
});
