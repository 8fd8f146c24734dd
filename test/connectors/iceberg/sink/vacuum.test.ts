import { describe, expect, it } from "vitest";
import { filesOf } from "../../../../shared/connectors/iceberg/sink/open-table.ts";
import { Desk } from "./desk.ts";

const FORMER = "33333333-3333-4333-8333-333333333333";
const open = { batchId: 1, attempt: 1, aborted: false, lastTriedAttempt: 0 };

describe("vacuum of an Iceberg table", () => {
  it("Files of committed batches stay, and those of a lost attempt of one go", async () => {
    const desk = new Desk();
    const context = { batchId: 0 };
    await desk.stage({ context });
    await desk.write(0, [1]);
    expect(await desk.files("data/")).toHaveLength(2);
    expect(await desk.vacuum()).toMatchObject({ files: 1 });
    expect(await desk.files("data/")).toHaveLength(1);
    expect(await desk.ids()).toEqual([1]);
  });

  it("Files of the open batch stay until its attempt is over and no commit of it was tried", async () => {
    const desk = new Desk();
    await desk.write(0, [1]);
    await desk.stage({ context: { batchId: 1 } });
    expect(await desk.vacuum(open)).toMatchObject({ files: 0 });
    expect(await desk.vacuum({ ...open, aborted: true, lastTriedAttempt: 1 })).toMatchObject({ files: 0 });
    expect(await desk.vacuum({ ...open, aborted: true })).toMatchObject({ files: 1 });
    expect(await desk.ids()).toEqual([1]);
  });

  it("Manifests and lists of tries that lost against another writer go", async () => {
    const desk = new Desk();
    desk.deed = async (commit, _request, attempt) =>
      attempt < 3 ? { outcome: "conflict", reason: "another writer" } : await commit();
    await desk.write(0, [1]);
    const before = await desk.files("metadata/");
    expect(await desk.vacuum()).toMatchObject({ files: 2 });
    const gone = before.filter((key) => !key.endsWith(".json")).length - 2;
    const left = (await desk.files("metadata/")).filter((key) => !key.endsWith(".json"));
    expect(left).toHaveLength(gone);
    expect(await desk.ids()).toEqual([1]);
  });

  it("Files of other writers and of another pipeline stay", async () => {
    const desk = new Desk();
    await desk.write(0, [1]);
    await desk.stage({ context: { pipeline: "returns", batchId: 0 } });
    const { root } = filesOf(desk.parts, await desk.load());
    const others = [
      "data/00000-0-5d2c.parquet",
      `data/orders/${desk.context().incarnation}/notes.txt`,
      "metadata/5d2c7a1e-0000-4000-8000-000000000000-m0.avro",
      "metadata/snap-123-1-5d2c7a1e-0000-4000-8000-000000000000.avro",
      "metadata/00000-5d2c7a1e-0000-4000-8000-000000000000.metadata.json",
    ];
    for (const key of others) await root.put(key, new Uint8Array([1]));
    const before = await desk.files();
    expect(await desk.vacuum()).toMatchObject({ files: 0 });
    expect(await desk.files()).toEqual(before);
  });

  it("What a former incarnation staged and did not commit goes, and what it committed stays", async () => {
    const desk = new Desk();
    const former = { incarnation: FORMER };
    await desk.write(0, [1], { context: former });
    await desk.stage({ context: { ...former, batchId: 1 } });
    expect(await desk.vacuum(undefined, [])).toMatchObject({ files: 0 });
    expect(await desk.vacuum(undefined, [FORMER])).toMatchObject({ files: 1 });
    expect(await desk.ids()).toEqual([1]);
  });

  it("A metadata file that lost against another commit goes, and the table's log stays", async () => {
    const desk = new Desk();
    for (let batchId = 0; batchId < 4; batchId++) await desk.write(batchId, [batchId]);
    const { root } = filesOf(desk.parts, await desk.load());
    const orphan = "metadata/00002-6d696c6c-0000-8000-8000-00000000abcd.metadata.json";
    await root.put(orphan, new Uint8Array([1]));
    const before = await desk.files("metadata/");
    expect(await desk.vacuum()).toMatchObject({ files: 1 });
    expect(await desk.files("metadata/")).toEqual(before.filter((key) => key !== orphan));
  });

  it("A table that is not there has nothing to remove", async () => {
    const desk = new Desk();
    expect(await desk.vacuum()).toEqual({ files: 0, bytes: 0 });
  });
});
