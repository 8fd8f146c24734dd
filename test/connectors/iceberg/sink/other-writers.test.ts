import { describe, expect, it } from "vitest";
import type { LoadedTable } from "../../../../shared/connectors/iceberg/catalog/catalog.ts";
import {
  CATALOG_OPTIONS,
  type CatalogOptions,
} from "../../../../shared/connectors/iceberg/catalog/options.ts";
import type {
  IcebergSchema,
  PartitionSpec,
  TableMetadata,
} from "../../../../shared/connectors/iceberg/format/types.ts";
import { filesOf } from "../../../../shared/connectors/iceberg/sink/open-table.ts";
import { targetNameOf } from "../../../../shared/connectors/iceberg/sink/target-name.ts";
import { Desk } from "./desk.ts";

const coded = (code: string) => expect.objectContaining({ code }) as Error;

/** Lets the catalog show the table with other metadata, as after a change by another engine. */
function changed(desk: Desk, change: (metadata: TableMetadata) => Partial<TableMetadata>): void {
  desk.see = (loaded) => ({ ...loaded, metadata: { ...loaded.metadata, ...change(loaded.metadata) } });
}

/** The metadata after another engine has given the table these columns. */
function withColumns(
  { schemas, "last-column-id": last }: TableMetadata,
  fields: IcebergSchema["fields"],
): Partial<TableMetadata> {
  const id = schemas.length;
  return {
    schemas: [...schemas, { type: "struct", "schema-id": id, fields }],
    "current-schema-id": id,
    "last-column-id": Math.max(last, ...fields.map((field) => field.id)),
  };
}

const WITH_NOTE = { ddl: "id bigint, note string" };
const noted = (id: number, note: string) => ({ ...WITH_NOTE, tasks: [[{ id, note }]] });

describe("an Iceberg table whose columns another engine changes between plan and commit", () => {
  it("A batch whose column was dropped is planned again, so that its values are not lost", async () => {
    const desk = new Desk();
    await desk.write(0, [], noted(1, "a"));
    const staged = await desk.stage({ ...noted(2, "b"), context: { batchId: 1 } });
    changed(desk, (metadata) =>
      withColumns(metadata, [{ id: 1, name: "id", required: false, type: "long" }]),
    );
    await expect(desk.finalize(staged, WITH_NOTE)).rejects.toThrow(coded("TABLE_CHANGED"));
    expect(desk.commits).toHaveLength(1);
  });

  it("A batch is planned again if a column of the same name has replaced its column", async () => {
    const desk = new Desk();
    await desk.write(0, [], noted(1, "a"));
    const staged = await desk.stage({ ...noted(2, "b"), context: { batchId: 1 } });
    changed(desk, (metadata) =>
      withColumns(metadata, [
        { id: 1, name: "id", required: false, type: "long" },
        { id: 3, name: "note", required: false, type: "string" },
      ]),
    );
    await expect(desk.finalize(staged, WITH_NOTE)).rejects.toThrow(coded("TABLE_CHANGED"));
  });

  it("A batch is planned again if a column of it must not be null any more", async () => {
    const desk = new Desk();
    await desk.write(0, [1]);
    const staged = await desk.stage({ context: { batchId: 1 } });
    changed(desk, (metadata) => withColumns(metadata, [{ id: 1, name: "id", required: true, type: "long" }]));
    await expect(desk.finalize(staged)).rejects.toThrow(coded("TABLE_CHANGED"));
  });

  it("A batch is planned again if the table has a new column that must not be null", async () => {
    const desk = new Desk();
    await desk.write(0, [1]);
    const staged = await desk.stage({ context: { batchId: 1 } });
    changed(desk, (metadata) =>
      withColumns(metadata, [
        { id: 1, name: "id", required: false, type: "long" },
        { id: 2, name: "region", required: true, type: "string" },
      ]),
    );
    await expect(desk.finalize(staged)).rejects.toThrow(coded("TABLE_CHANGED"));
  });

  it("A column that was renamed, and one that was widened, keep the values of the batch", async () => {
    const desk = new Desk();
    const ddl = "id int, note string";
    await desk.write(0, [], { ddl, tasks: [[{ id: 1, note: "a" }]] });
    const staged = await desk.stage({ ddl, tasks: [[{ id: 2, note: "b" }]], context: { batchId: 1 } });
    changed(desk, (metadata) =>
      withColumns(metadata, [
        { id: 1, name: "id", required: false, type: "long" },
        { id: 2, name: "remark", required: false, type: "string" },
      ]),
    );
    await desk.finalize(staged, { ddl });
    desk.see = (loaded) => loaded;
    expect(await desk.rows()).toEqual(
      expect.arrayContaining([
        { id: 1, remark: "a" },
        { id: 2, remark: "b" },
      ]),
    );
  });
});

describe("an Iceberg table whose partitioning another engine changes", () => {
  const ddl = "id bigint, day date";
  const DAY: PartitionSpec = {
    "spec-id": 1,
    fields: [{ "source-id": 2, "field-id": 1001, name: "day_month", transform: "month" }],
  };
  const evolved = ({ "partition-specs": specs }: TableMetadata): Partial<TableMetadata> => ({
    "partition-specs": [...specs, DAY],
    "default-spec-id": 1,
    "last-partition-id": 1001,
  });

  it("Partitions of a batch that was planned before are not compared with those of the new partitioning", async () => {
    const desk = new Desk({ partitionBy: ["month(day)"] });
    const row = (id: number) => ({ id, day: "1970-02-05" });
    const planned = { ddl, tasks: [[row(9)]], replaces: "partitions" as const };
    const staged = await desk.stage({ ...planned, context: { batchId: 0 } });
    changed(desk, evolved);
    await expect(desk.finalize(staged, planned)).rejects.toThrow(coded("TABLE_CHANGED"));
  });

  it("Rows that are added keep the partitioning of their plan", async () => {
    const desk = new Desk({ partitionBy: ["day"] });
    const staged = await desk.stage({ ddl, tasks: [[{ id: 1, day: "1970-02-05" }]] });
    changed(desk, evolved);
    await desk.finalize(staged, { ddl });
    desk.see = (loaded) => loaded;
    expect(await desk.ids()).toEqual([1]);
  });

  it("A batch whose partitioning was removed from the table is planned again", async () => {
    const desk = new Desk({ partitionBy: ["day"] });
    const staged = await desk.stage({ ddl, tasks: [[{ id: 1, day: "1970-02-05" }]] });
    changed(desk, () => ({ "partition-specs": [DAY], "default-spec-id": 1, "last-partition-id": 1001 }));
    await expect(desk.finalize(staged, { ddl })).rejects.toThrow(coded("TABLE_CHANGED"));
  });

  it("An overwrite of partitions without rows replaces no file, whatever its partitioning is", async () => {
    const desk = new Desk({ partitionBy: ["day"] });
    await desk.write(0, [], { ddl, tasks: [[{ id: 1, day: "1970-02-05" }]] });
    changed(desk, evolved);
    (desk.parts.options as { partitionBy?: string[] | undefined }).partitionBy = undefined;
    await desk.write(1, [], { ddl, tasks: [[]], replaces: "partitions" });
    desk.see = (loaded) => loaded;
    expect(await desk.ids()).toEqual([1]);
  });

  it("A partition column is widened together with the rows, and manifests of both types are merged", async () => {
    const desk = new Desk({
      partitionBy: ["region"],
      properties: { "commit.manifest.min-count-to-merge": "2" },
    });
    const narrow = { ddl: "id bigint, region int" };
    const wide = { ddl: "id bigint, region bigint", onSchemaChange: "evolve" as const };
    await desk.write(0, [], { ...narrow, tasks: [[{ id: 1, region: 5 }]] });
    await desk.write(1, [], { ...narrow, tasks: [[{ id: 2, region: 6 }]] });
    const late = await desk.stage({
      ...narrow,
      tasks: [[{ id: 4, region: 7 }]],
      context: { pipeline: "returns" },
    });
    await desk.write(2, [], { ...wide, tasks: [[{ id: 3, region: 5 }]] });
    await desk.finalize(late, narrow);
    expect(await desk.ids()).toEqual([1, 2, 3, 4]);
    await desk.write(3, [], { ...wide, tasks: [[{ id: 9, region: 5 }]], replaces: "partitions" });
    expect(await desk.ids()).toEqual([2, 4, 9]);
  });
});

describe("manifests of a partitioning whose column is gone from all schemas", () => {
  it.each(["none", "all"] as const)("A batch that replaces %s of the rows is committed", async (replaces) => {
    const desk = new Desk({
      partitionBy: ["day"],
      properties: { "commit.manifest.min-count-to-merge": "2" },
    });
    const ddl = "id bigint, day date";
    for (const batchId of [0, 1, 2])
      await desk.write(batchId, [], { ddl, tasks: [[{ id: batchId, day: "1970-02-05" }]] });
    const schemas: readonly IcebergSchema[] = [
      { type: "struct", "schema-id": 1, fields: [{ id: 1, name: "id", required: false, type: "long" }] },
    ];
    changed(desk, ({ "partition-specs": [first], snapshots }) => ({
      schemas,
      "current-schema-id": 1,
      "partition-specs": [first as PartitionSpec, { "spec-id": 1, fields: [] }],
      "default-spec-id": 1,
      snapshots: snapshots.map(({ "schema-id": _, ...snapshot }) => snapshot),
    }));
    (desk.parts.options as { partitionBy?: string[] | undefined }).partitionBy = undefined;
    await desk.write(3, [3], { replaces });
    expect(await desk.ids()).toEqual(replaces === "all" ? [3] : [0, 1, 2, 3]);
  });
});

describe("what another engine has said about an Iceberg table", () => {
  it("The retention of branch main stays when a batch is committed", async () => {
    const desk = new Desk();
    await desk.write(0, [1]);
    await desk.asOther(({ refs }) => [
      {
        action: "set-snapshot-ref",
        "ref-name": "main",
        type: "branch",
        "snapshot-id": refs["main"]?.["snapshot-id"] ?? 0n,
        "min-snapshots-to-keep": 7,
        "max-snapshot-age-ms": 86_400_000,
      },
    ]);
    await desk.write(1, [2]);
    expect((await desk.metadata()).refs["main"]).toMatchObject({
      "min-snapshots-to-keep": 7,
      "max-snapshot-age-ms": 86_400_000,
    });
  });

  it("Manifests are not merged if the property that allows it is false in any case", async () => {
    const properties = {
      "commit.manifest.min-count-to-merge": "2",
      "commit.manifest-merge.enabled": "False",
    };
    const desk = new Desk({ properties });
    for (let batchId = 0; batchId < 4; batchId++) await desk.write(batchId, [batchId]);
    const manifests = (await desk.files("metadata/")).filter((key) => /-m\d+\.avro$/.test(key));
    expect(manifests).toHaveLength(4);
    expect(await desk.ids()).toEqual([0, 1, 2, 3]);
  });

  it("Vacuum keeps the data files of a table whose location is written in another way since", async () => {
    const desk = new Desk();
    await desk.write(0, [1]);
    const before = await desk.files("data/");
    changed(desk, ({ location }) => ({ location: location.replace(/^file:\/*/, "file:/") }));
    expect((await desk.metadata()).location).toMatch(/^file:\/[^/]/);
    expect(await desk.vacuum()).toMatchObject({ files: 0 });
    expect(await desk.files("data/")).toEqual(before);
    expect(await desk.ids()).toEqual([1]);
  });

  it("Vacuum removes no file of a table whose files another table may use", async () => {
    const desk = new Desk({ properties: { "gc.enabled": "false" } });
    await desk.stage();
    await desk.write(0, [1]);
    expect(await desk.vacuum()).toEqual({ files: 0, bytes: 0 });
    expect(await desk.files("data/")).toHaveLength(2);
  });
});

describe("an Iceberg table whose catalog vends credentials", () => {
  const access = { accessKeyId: "key", secretAccessKey: "secret" };
  const vending = (): Desk => {
    const desk = new Desk();
    desk.see = (loaded) => ({ ...loaded, access });
    return desk;
  };

  it("All files of a table are reached with the credentials that its catalog vends", async () => {
    const desk = vending();
    await desk.write(0, [1]);
    const staged = await desk.stage({ context: { batchId: 1 } });
    desk.opened.own.clear();
    expect(await desk.sink.findDamaged(staged.messages)).toEqual([]);
    await desk.abort(staged);
    await desk.finalize(await desk.stage({ context: { batchId: 1 } }));
    const { location } = await desk.metadata();
    expect(
      [...desk.opened.own].filter((place) => place.startsWith(location.replace(/^file:\/*/, "/"))),
    ).toEqual([]);
    expect(await desk.files("data/")).toHaveLength(2);
  });

  it.each(["gone", "made anew"])(
    "A batch whose table is %s has no damaged files and is aborted, so that it is planned again",
    async (fate) => {
      const desk = vending();
      const staged = await desk.stage();
      const { location } = await desk.metadata();
      const isGone = fate === "gone";
      desk.see = ({ metadata, ...loaded }: LoadedTable) =>
        isGone
          ? undefined
          : {
              ...loaded,
              access,
              metadata: {
                ...metadata,
                location: `${location}-2`,
                "table-uuid": "99999999-9999-4999-8999-999999999999",
              },
            };
      expect(await desk.sink.findDamaged(staged.messages)).toEqual([]);
      await expect(desk.finalize(staged)).rejects.toThrow(
        coded(isGone ? "TABLE_NOT_FOUND" : "TABLE_REPLACED"),
      );
      await desk.abort(staged);
    },
  );
});

describe("a plan that is too large for the ledger", () => {
  const wide = (id: number, columns = 1_600) => {
    const names = Array.from({ length: columns }, (_, i) => `c${(i * 7_919) % 104_729}`);
    const ddl = ["id bigint", ...names.map((name) => `${name} bigint`)].join(", ");
    return { ddl, tasks: [[{ id, ...Object.fromEntries(names.map((name) => [name, null])) }]] };
  };
  const planFiles = async (desk: Desk) =>
    (await desk.files("metadata/")).filter((key) => key.includes("millrace-plan-"));

  it("Rows with 3,000 columns are written by a plan in a file, which later batches share", async () => {
    const desk = new Desk();
    await desk.write(0, [], wide(1, 3_000));
    const staged = await desk.write(1, [], wide(2, 3_000));
    expect(JSON.stringify(staged.fields).length).toBeLessThan(16 * 1024);
    expect(await planFiles(desk)).toHaveLength(1);
    expect(await desk.ids()).toEqual([1, 2]);
  });

  it("Vacuum keeps the plan of an open batch, however old it is", async () => {
    const desk = new Desk();
    const staged = await desk.stage(wide(1));
    expect(await planFiles(desk)).toHaveLength(1);
    await desk.vacuum({ batchId: 0, attempt: 1, aborted: false, lastTriedAttempt: 0 });
    await desk.finalize(staged, wide(1));
    expect(await desk.ids()).toEqual([1]);
  });

  it("A batch whose plan is gone can be aborted, skipped by hand and planned again", async () => {
    const desk = new Desk();
    const staged = await desk.stage(wide(1));
    const { root } = filesOf(desk.parts, await desk.load());
    await root.delete(await planFiles(desk));
    await expect(desk.finalize(staged, wide(1))).rejects.toThrow(coded("PLAN_FILE_MISSING"));
    await desk.abort(staged, wide(1));
    expect(await desk.files("data/")).toEqual([]);
    await desk.finalize({ ...staged, messages: [] }, wide(1));
    await desk.write(1, [], wide(2));
    expect(await desk.ids()).toEqual([2]);
  });
});

describe("the name of an Iceberg table as the target of a pipeline", () => {
  const nameOf = (catalog?: CatalogOptions) =>
    targetNameOf({
      table: "shop.orders",
      ...(catalog === undefined ? {} : { catalog: CATALOG_OPTIONS.parse(catalog) }),
    });

  it("The name has the place of the catalog, without headers, credentials and timeouts", () => {
    const rest = { type: "rest", uri: "https://lake.example.com", warehouse: "sales" } as const;
    const name = nameOf(rest);
    expect(name).toBe('shop.orders in {"type":"rest","uri":"https://lake.example.com","warehouse":"sales"}');
    expect(
      nameOf({ ...rest, headers: { "x-key": "secret" }, token: { env: "TOKEN" }, timeoutSeconds: 5 }),
    ).toBe(name);
    const url = "postgres://me:secret@db:5433/lake?sslmode=require";
    expect(nameOf({ type: "postgres", url, warehouse: "/lake", lockSeconds: 1 })).toBe(
      'shop.orders in {"type":"postgres","host":"db","port":"5433","database":"lake","name":"millrace"}',
    );
  });

  it("The default catalog has no place, because a home may be moved", () => {
    expect(nameOf()).toBe("shop.orders");
    expect(nameOf({ type: "sqlite" })).toBe("shop.orders");
    expect(nameOf({ type: "sqlite", path: "/lake" })).not.toBe("shop.orders");
    expect(nameOf({ type: "sqlite", name: "other" })).not.toBe("shop.orders");
  });
});
