import { describe, expect, it } from "vitest";
import type { IcebergCatalog } from "../../../shared/connectors/iceberg/catalog/catalog.ts";
import { parseTableName } from "../../../shared/connectors/iceberg/catalog/identifier.ts";
import type { OpenStore } from "../../../shared/connectors/iceberg/file-io.ts";
import type {
  Snapshot,
  SnapshotRef,
  TableMetadata,
} from "../../../shared/connectors/iceberg/format/types.ts";
import { type ExpirePlan, planExpire } from "../../../shared/connectors/iceberg/maintenance/expire.ts";
import { expiredOf, type Retention } from "../../../shared/connectors/iceberg/maintenance/retention.ts";
import { planRollback } from "../../../shared/connectors/iceberg/maintenance/rollback.ts";
import { historyOf, snapshotsOf } from "../../../shared/connectors/iceberg/maintenance/snapshots.ts";
import type { TableParts } from "../../../shared/connectors/iceberg/maintenance/table-parts.ts";
import { MillraceError } from "../../../shared/contract/errors.ts";
import type { ObjectStore } from "../../../shared/contract/object-store.ts";
import { DirectoryStore } from "../../../shared/platform/embedded/directory-store.ts";
import { Desk } from "./sink/desk.ts";

const lost = new MillraceError("CATALOG_FAILED", "the answer is lost", { retryable: true });
const coded = (code: string) => expect.objectContaining({ code }) as Error;

async function partsOf(
  desk: Desk,
  openStore: OpenStore = (path) => new DirectoryStore(path),
): Promise<TableParts> {
  const catalog: IcebergCatalog = await desk.parts.openCatalog();
  return { catalog, openStore, identifier: parseTableName("shop.orders"), runtime: desk.parts.runtime };
}

/** Everything but the newest snapshot. */
const ALL: Retention = { olderThan: Number.MAX_SAFE_INTEGER, keep: 1 };

async function planned(desk: Desk, retention: Retention = ALL): Promise<ExpirePlan> {
  return await planExpire(await partsOf(desk), retention);
}

/** A table with three batches, of which each replaced the rows before. */
async function replacedTwice(): Promise<Desk> {
  const desk = new Desk();
  for (const batch of [0, 1, 2]) await desk.write(batch, [batch], { replaces: "all" });
  return desk;
}

describe("the expiry of snapshots", () => {
  it("Old snapshots go with the files that only they need, and nothing else does", async () => {
    const desk = await replacedTwice();
    const root = (await desk.load()).metadata.location;
    const stranger = new DirectoryStore(root.replace("file://", ""));
    await stranger.put("data/unknown.parquet", Buffer.from("of another program"));
    const before = await desk.files();
    const plan = await planned(desk);
    expect(plan).toMatchObject({ keptSnapshots: 1, missing: [], counts: { data: 2, manifestLists: 2 } });
    expect(await desk.files()).toEqual(before);
    expect((await desk.metadata()).snapshots).toHaveLength(3);
    const { snapshots, counts } = await plan.apply();
    expect(snapshots).toHaveLength(2);
    expect(counts).toEqual(plan.counts);
    expect(await desk.ids()).toEqual([2]);
    const after = await desk.files();
    expect(after).toContain("data/unknown.parquet");
    expect(after.filter((key) => key.endsWith(".parquet"))).toHaveLength(2);
    expect(after.filter((key) => key.startsWith("metadata/snap-"))).toHaveLength(1);
    expect((await planned(desk)).expired.snapshots).toEqual([]);
  });

  it("Files that a snapshot in between still needs stay when a batch is committed during the expiry", async () => {
    const desk = await replacedTwice();
    const plan = await planned(desk);
    let isFirst = true;
    desk.deed = async (commit) => {
      if (isFirst) {
        isFirst = false;
        await desk.write(3, [3]);
      }
      return await commit();
    };
    const result = await plan.apply();
    expect(result.snapshots).toHaveLength(2);
    expect(await desk.ids()).toEqual([2, 3]);
    const { snapshots } = await desk.metadata();
    expect(snapshots.map(({ summary }) => summary["millrace.batch-id"])).toEqual(["2", "3"]);
  });

  it("A snapshot that gets a tag after the preview stays with its files", async () => {
    const desk = await replacedTwice();
    const plan = await planned(desk);
    const [first] = (await desk.metadata()).snapshots as [Snapshot];
    const id = first["snapshot-id"];
    await desk.asOther(() => [
      { action: "set-snapshot-ref", "ref-name": "audit", type: "tag", "snapshot-id": id },
    ]);
    const result = await plan.apply();
    expect(result.snapshots).toHaveLength(1);
    expect(result.snapshots).not.toContain(id);
    expect((await desk.metadata()).refs["audit"]).toMatchObject({ "snapshot-id": id });
    expect(await desk.ids(id)).toEqual([0]);
  });

  it("The request requires that each branch and tag is where the preview saw it", async () => {
    const desk = await replacedTwice();
    const { refs } = await desk.metadata();
    await (await planned(desk)).apply();
    expect(desk.commits.at(-1)?.requirements).toContainEqual({
      type: "assert-ref-snapshot-id",
      ref: "main",
      "snapshot-id": refs["main"]?.["snapshot-id"],
    });
  });

  it("An answer that is lost after the commit is read back, and the files are deleted", async () => {
    const desk = await replacedTwice();
    const plan = await planned(desk);
    desk.deed = async (commit) => {
      await commit();
      return { outcome: "unknown", cause: lost };
    };
    const { snapshots, counts } = await plan.apply();
    expect(snapshots).toHaveLength(2);
    expect(counts).toEqual(plan.counts);
    expect(await desk.ids()).toEqual([2]);
  });

  it("Nothing is deleted if the commit fails", async () => {
    const desk = await replacedTwice();
    const plan = await planned(desk);
    const before = await desk.files("data/");
    desk.deed = async () => ({ outcome: "conflict", reason: "another writer" });
    await expect(plan.apply()).rejects.toThrow(coded("COMMIT_CONFLICTS"));
    expect(await desk.files("data/")).toEqual(before);
    expect(await desk.ids()).toEqual([2]);
  });

  it("A crash between the commit and the deletes leaves a table that can be read and expired again", async () => {
    const desk = await replacedTwice();
    const failing: OpenStore = (path) => withoutDelete(new DirectoryStore(path));
    const plan = await planExpire(await partsOf(desk, failing), ALL);
    await expect(plan.apply()).rejects.toThrow("the process is gone");
    expect((await desk.metadata()).snapshots).toHaveLength(1);
    expect(await desk.ids()).toEqual([2]);
    await desk.write(3, [3]);
    await (await planned(desk)).apply();
    expect(await desk.ids()).toEqual([2, 3]);
    const dataFiles = async () => (await desk.files("data/")).filter((key) => key.endsWith(".parquet"));
    expect(await dataFiles()).toHaveLength(4);
    await desk.vacuum();
    expect(await dataFiles()).toHaveLength(2);
    expect(await desk.ids()).toEqual([2, 3]);
  });

  it("A manifest list of an expired snapshot that is gone does not stop the expiry", async () => {
    const desk = await replacedTwice();
    const [first] = (await desk.metadata()).snapshots as [Snapshot];
    const path = first["manifest-list"].replace("file://", "");
    await new DirectoryStore(desk.folder).delete([path.slice(desk.folder.length + 1)]);
    const plan = await planned(desk);
    expect(plan.missing).toEqual([first["manifest-list"]]);
    expect((await plan.apply()).snapshots).toHaveLength(2);
    expect(await desk.ids()).toEqual([2]);
  });

  it("A table whose files other tables may use does not expire", async () => {
    const desk = await replacedTwice();
    await desk.asOther(() => [{ action: "set-properties", updates: { "gc.enabled": "false" } }]);
    await expect(planned(desk)).rejects.toThrow(coded("NOT_SUPPORTED"));
  });
});

/** A store that a killed process leaves: it deletes nothing. */
function withoutDelete(store: ObjectStore): ObjectStore {
  return new Proxy(store, {
    get(target, name: keyof ObjectStore) {
      if (name === "delete") return () => Promise.reject(new Error("the process is gone"));
      if (name === "at") return (folder: string) => withoutDelete(target.at(folder));
      const value = target[name];
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

const DAY = 86_400_000;
const NOW = 100 * DAY;

/** Snapshots 1 to 5, one a day, the newest an hour old, and snapshot 9, which was rolled back. */
function tableWith(refs: TableMetadata["refs"], properties: TableMetadata["properties"] = {}): TableMetadata {
  const snapshot = (id: bigint, parent: bigint | undefined, at: number): Snapshot => ({
    "snapshot-id": id,
    ...(parent === undefined ? {} : { "parent-snapshot-id": parent }),
    "sequence-number": Number(id),
    "timestamp-ms": at,
    "manifest-list": `/t/${id}.avro`,
    summary: {},
  });
  const last = NOW - DAY / 24;
  return {
    snapshots: [
      ...[1n, 2n, 3n, 4n, 5n].map((id) =>
        snapshot(id, id === 1n ? undefined : id - 1n, last - (5 - Number(id)) * DAY),
      ),
      snapshot(9n, 4n, last - DAY / 2),
    ],
    refs,
    properties,
    "current-snapshot-id": 5n,
  } as unknown as TableMetadata;
}

const MAIN: SnapshotRef = { type: "branch", "snapshot-id": 5n };

describe("what expires", () => {
  it.each<readonly [string, TableMetadata, Retention, readonly bigint[], readonly string[]]>([
    ["snapshots stay for five days if nobody says otherwise", tableWith({ main: MAIN }), {}, [], []],
    [
      "snapshots expire by their age",
      tableWith({ main: MAIN }),
      { olderThan: NOW - 2.5 * DAY },
      [1n, 2n],
      [],
    ],
    [
      "snapshots expire by the age in the table's property",
      tableWith({ main: MAIN }, { "history.expire.max-snapshot-age-ms": String(1.5 * DAY) }),
      {},
      [1n, 2n, 3n],
      [],
    ],
    [
      "the newest snapshots stay, however old they are",
      tableWith({ main: MAIN }),
      { olderThan: NOW, keep: 3 },
      [1n, 2n, 9n],
      [],
    ],
    [
      "as many of the newest snapshots stay as the table's property says",
      tableWith({ main: MAIN }, { "history.expire.min-snapshots-to-keep": "4" }),
      { olderThan: NOW },
      [1n, 9n],
      [],
    ],
    [
      "a young snapshot that was rolled back stays",
      tableWith({ main: MAIN }),
      { olderThan: NOW - 0.7 * DAY },
      [1n, 2n, 3n, 4n],
      [],
    ],
    [
      "the snapshot of a tag stays",
      tableWith({ main: MAIN, v1: { type: "tag", "snapshot-id": 2n } }),
      { olderThan: NOW },
      [1n, 3n, 4n, 9n],
      [],
    ],
    [
      "a branch keeps as many snapshots as it says itself",
      tableWith({ main: MAIN, audit: { type: "branch", "snapshot-id": 4n, "min-snapshots-to-keep": 2 } }),
      { olderThan: NOW },
      [1n, 2n, 9n],
      [],
    ],
    [
      "the branch main keeps its snapshots as long as it says itself",
      tableWith({ main: { ...MAIN, "max-snapshot-age-ms": 2.5 * DAY } }),
      { olderThan: NOW },
      [1n, 2n, 9n],
      [],
    ],
    [
      "a tag that is older than it may be expires with its snapshot",
      tableWith({ main: MAIN, v1: { type: "tag", "snapshot-id": 2n, "max-ref-age-ms": DAY } }),
      { olderThan: NOW },
      [1n, 2n, 3n, 4n, 9n],
      ["v1"],
    ],
    [
      "a tag that is older than the table's property allows expires with its snapshot",
      tableWith(
        { main: MAIN, v1: { type: "tag", "snapshot-id": 2n } },
        { "history.expire.max-ref-age-ms": String(DAY) },
      ),
      { olderThan: NOW },
      [1n, 2n, 3n, 4n, 9n],
      ["v1"],
    ],
  ])("By the rules of Iceberg's Java library, %s", (_, metadata, retention, ids, refs) => {
    const expired = expiredOf(metadata, retention, NOW);
    expect(expired.snapshots.map((snapshot) => snapshot["snapshot-id"])).toEqual(ids);
    expect(expired.refs).toEqual(refs);
  });

  it("A property that is no number is an error, and not the default", () => {
    const metadata = tableWith({ main: MAIN }, { "history.expire.max-snapshot-age-ms": "7d" });
    expect(() => expiredOf(metadata, {}, NOW)).toThrow(coded("TABLE_PROPERTY_INVALID"));
  });
});

describe("a rollback", () => {
  async function twoBatches(): Promise<{ readonly desk: Desk; readonly ids: readonly bigint[] }> {
    const desk = new Desk();
    await desk.write(0, [1]);
    await desk.write(1, [2]);
    return { desk, ids: (await desk.metadata()).snapshots.map((snapshot) => snapshot["snapshot-id"]) };
  }

  it("Readers see the earlier snapshot, and the pipeline goes on after its newest batch", async () => {
    const { desk, ids } = await twoBatches();
    const plan = await planRollback(await partsOf(desk), { snapshotId: ids[0] ?? 0n });
    expect(plan.hidden.map(({ id }) => id)).toEqual([ids[1]]);
    expect(plan.shown).toEqual([]);
    expect(await desk.ids()).toEqual([1, 2]);
    await plan.apply();
    expect(await desk.ids()).toEqual([1]);
    await desk.write(2, [3]);
    expect(await desk.ids()).toEqual([1, 3]);
    const metadata = await desk.metadata();
    expect(historyOf(metadata).map(({ id }) => ids.indexOf(id))).toEqual([0, 1, 0, -1]);
    expect(snapshotsOf(metadata).map(({ isInCurrent }) => isInCurrent)).toEqual([true, false, true]);
  });

  it("A rollback is undone by a rollback to the snapshot that it hid", async () => {
    const { desk, ids } = await twoBatches();
    await (await planRollback(await partsOf(desk), { snapshotId: ids[0] ?? 0n })).apply();
    const plan = await planRollback(await partsOf(desk), { snapshotId: ids[1] ?? 0n });
    expect([plan.hidden, plan.shown.map(({ id }) => id)]).toEqual([[], [ids[1]]]);
    await plan.apply();
    expect(await desk.ids()).toEqual([1, 2]);
  });

  it("A time finds the snapshot that was current then", async () => {
    const desk = new Desk();
    await desk.write(0, [1]);
    desk.clock.now += 1000;
    await desk.write(1, [2]);
    const [first, second] = (await desk.metadata()).snapshots as [Snapshot, Snapshot];
    const planAt = async (timestamp: number) =>
      (await planRollback(await partsOf(desk), { timestamp })).to.id;
    expect(await planAt(first["timestamp-ms"])).toBe(first["snapshot-id"]);
    expect(await planAt(second["timestamp-ms"] - 1)).toBe(first["snapshot-id"]);
    expect(await planAt(second["timestamp-ms"])).toBe(second["snapshot-id"]);
    await expect(planAt(first["timestamp-ms"] - 1)).rejects.toThrow(coded("SNAPSHOT_NOT_FOUND"));
  });

  it("A batch that is committed after the preview is not hidden", async () => {
    const { desk, ids } = await twoBatches();
    const plan = await planRollback(await partsOf(desk), { snapshotId: ids[0] ?? 0n });
    await desk.write(2, [3]);
    await expect(plan.apply()).rejects.toThrow(coded("TABLE_MOVED_ON"));
    expect(await desk.ids()).toEqual([1, 2, 3]);
  });

  it("A batch that is committed between the check and the rollback is not hidden", async () => {
    const { desk, ids } = await twoBatches();
    const plan = await planRollback(await partsOf(desk), { snapshotId: ids[0] ?? 0n });
    let isFirst = true;
    desk.deed = async (commit) => {
      if (isFirst) {
        isFirst = false;
        await desk.write(2, [3]);
      }
      return await commit();
    };
    await expect(plan.apply()).rejects.toThrow(coded("TABLE_MOVED_ON"));
    expect(await desk.ids()).toEqual([1, 2, 3]);
  });

  it("An answer that is lost after the rollback is read back", async () => {
    const { desk, ids } = await twoBatches();
    const plan = await planRollback(await partsOf(desk), { snapshotId: ids[0] ?? 0n });
    desk.deed = async (commit) => {
      await commit();
      return { outcome: "unknown", cause: lost };
    };
    await plan.apply();
    expect(await desk.ids()).toEqual([1]);
  });
});
