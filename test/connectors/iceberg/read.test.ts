import { describe, expect, it } from "vitest";
import { filterMatcher } from "../../../shared/arrow/predicates/row-matcher.ts";
import type { DataFile, NestedField } from "../../../shared/connectors/iceberg/format/types.ts";
import { snapshotToRead } from "../../../shared/connectors/iceberg/read/read-snapshot.ts";
import { IcebergReader, type SnapshotSlice } from "../../../shared/connectors/iceberg/read/reader.ts";
import {
  And,
  EqualTo,
  type Filter,
  GreaterThan,
  GreaterThanOrEqual,
  In,
  IsNotNull,
  IsNull,
  LessThan,
  Not,
  StringStartsWith,
} from "../../../shared/contract/filters.ts";
import { madeFile } from "../files-parquet/made-file.ts";
import { HandTable } from "./hand-table.ts";

const coded = (code: string, message = /.*/) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) as string }) as Error;

const field = (id: number, name: string, type: NestedField["type"], required = false): NestedField => ({
  id,
  name,
  required,
  type,
});

describe("columns of an Iceberg table", () => {
  it("A column is found by its id after it was renamed, and one that was added is null before", async () => {
    const table = new HandTable("id int, name string");
    await table.commit(await table.write("id int, name string", [[1, "a"]]));
    // The name `name` goes to another column.
    table.alter(([id]) => [id as NestedField, field(2, "title", "string"), field(3, "name", "string")]);
    await table.commit(await table.write("id int, title string, name string", [[2, "b", "n"]]));
    expect(await table.rows()).toEqual([
      { id: 1, title: "a", name: null },
      { id: 2, title: "b", name: "n" },
    ]);
    expect(await table.rows({ snapshotId: 1n })).toEqual([{ id: 1, name: "a" }]);
    expect(await table.rows({ columns: ["name", "id"] })).toEqual([
      { name: null, id: 1 },
      { name: "n", id: 2 },
    ]);
    await expect(table.rows({ columns: ["nam"] })).rejects.toThrow(coded("COLUMN_MISSING"));
  });

  it("A column that was dropped and added again under its name is another column", async () => {
    const table = new HandTable("id int, name string");
    await table.commit(await table.write("id int, name string", [[1, "a"]]));
    table.alter(([id]) => [id as NestedField, field(3, "name", "string")]);
    expect(await table.rows()).toEqual([{ id: 1, name: null }]);
  });

  it("Values that were written before a column was widened keep their value", async () => {
    const ddl = "i int, f float, d decimal(9,2)";
    const table = new HandTable(ddl);
    await table.commit(await table.write(ddl, [[-(2 ** 31), 1.5, "-9999999.99"]]));
    table.alter(() => [field(1, "i", "long"), field(2, "f", "double"), field(3, "d", "decimal(18, 2)")]);
    await table.commit(
      await table.write("i bigint, f double, d decimal(18,2)", [[2n ** 62n, 1e300, "9999999999999999.99"]]),
    );
    expect(await table.rows()).toEqual([
      { i: -(2 ** 31), f: 1.5, d: "-9999999.99" },
      { i: String(2n ** 62n), f: 1e300, d: "9999999999999999.99" },
    ]);
  });

  it("Fields of structs in structs, lists and maps are found by their ids", async () => {
    const ddl = "s struct<x:int,y:string>, l array<struct<x:int,t:array<int>>>, m map<string,struct<x:int>>";
    const table = new HandTable(ddl);
    await table.commit(
      await table.write(ddl, [
        [{ x: 1, y: "a" }, [{ x: 1, t: [1, 2] }, null, { x: 2, t: [] }], { k: { x: 5 }, n: null }],
        [null, [], {}],
        [{ x: null, y: null }, null, null],
      ]),
    );
    const added = { added: null };
    table.alter((fields) => JSON.parse(JSON.stringify(fields).replaceAll('"name":"x"', '"name":"z"')));
    expect((await table.rows()).map(({ s }) => s)).toEqual([{ z: 1, y: "a" }, null, { z: null, y: null }]);
    // All fields of the structs are new: whether a struct is null comes from columns that are gone.
    let next = 100;
    const renewed = (type: NestedField["type"]): NestedField["type"] => {
      if (typeof type === "string") return type;
      if (type.type === "struct") return { ...type, fields: [field(next++, "added", "int")] };
      if (type.type === "list") return { ...type, element: renewed(type.element) };
      return { ...type, value: renewed(type.value) };
    };
    table.alter((fields) => fields.map((one) => ({ ...one, type: renewed(one.type) })));
    expect(await table.rows()).toEqual([
      { s: added, l: [added, null, added], m: { k: added, n: null } },
      { s: null, l: [], m: {} },
      { s: added, l: null, m: null },
    ]);
  });

  it("A file without field ids is read by the table's name mapping, and refused without one", async () => {
    const bytes = madeFile([
      { name: "ID", values: [1n, 2n] },
      { name: "other", values: [7n, 8n] },
    ]);
    const mapping = [{ "field-id": 1, names: ["id", "ID"] }, { names: ["other"] }];
    const mapped = new HandTable("id bigint, name string", [], {
      "schema.name-mapping.default": JSON.stringify(mapping),
    });
    await mapped.commit([await mapped.put(bytes, 2)]);
    expect(await mapped.rows()).toEqual([
      { id: 1, name: null },
      { id: 2, name: null },
    ]);
    const plain = new HandTable("id bigint");
    await plain.commit([await plain.put(bytes, 2)]);
    await expect(plain.rows()).rejects.toThrow(coded("TABLE_FILE_DAMAGED", /no field ids/));
    const wrong = new HandTable("id bigint", [], { "schema.name-mapping.default": "{}" });
    await wrong.commit([await wrong.put(bytes, 2)]);
    await expect(wrong.rows()).rejects.toThrow(coded("TABLE_NOT_READABLE", /name-mapping/));
  });

  it("A column that files of Hive lack has the value of their partition", async () => {
    const names = (id: number, name: string) => ({ "field-id": id, names: [name] });
    const mapping = [names(1, "id"), names(2, "day"), names(3, "price")];
    const table = new HandTable("id bigint, day date, price decimal(5,2)", ["day", "price"], {
      "schema.name-mapping.default": JSON.stringify(mapping),
    });
    const bytes = madeFile([{ name: "id", values: [1n] }]);
    await table.commit([await table.put(bytes, 1, [-1, -150n]), await table.put(bytes, 1, [null, 5n])]);
    expect(await table.rows()).toEqual([
      { id: 1, day: "1969-12-31", price: "-1.50" },
      { id: 1, day: null, price: "0.05" },
    ]);
  });

  it("A file that has another type than the table, or lacks a required column, is refused", async () => {
    const table = new HandTable("id bigint");
    await table.commit(await table.write("id bigint", [[1]]));
    table.alter(() => [field(1, "id", "string")]);
    await expect(table.rows()).rejects.toThrow(
      coded("TABLE_FILE_DAMAGED", /"id" is INT64.*the table has string/),
    );
    table.alter(() => [field(1, "id", "long"), field(2, "must", "int", true)]);
    await expect(table.rows()).rejects.toThrow(
      coded("TABLE_FILE_DAMAGED", /lacks the required column "must"/),
    );
  });
});

describe("files of an Iceberg table", () => {
  it("A file that is gone, shorter or of other rows is an error that names it and the snapshot", async () => {
    const table = new HandTable("id bigint");
    const [file] = (await table.write("id bigint", [[1], [2]])) as [DataFile];
    await table.commit([file]);
    const bytes = await table.io.read(file.filePath);
    const read = async (change: Partial<DataFile>) => {
      const other = new HandTable("id bigint");
      const put = await other.put(bytes, 2);
      await other.commit([{ ...put, ...change }]);
      return await other.rows();
    };
    expect(await read({})).toHaveLength(2);
    await expect(read({ filePath: "/t/gone.parquet" })).rejects.toThrow(coded("TABLE_FILE_MISSING", /gone/));
    await expect(read({ recordCount: 3 })).rejects.toThrow(
      coded("TABLE_FILE_DAMAGED", /0\.parquet, a file of snapshot 1.*2 rows, and the table says 3/),
    );
    await expect(read({ fileSizeInBytes: bytes.length + 1 })).rejects.toThrow(
      coded("TABLE_FILE_DAMAGED", /shorter/),
    );
    await expect(read({ fileSizeInBytes: bytes.length - 1 })).rejects.toThrow(coded("TABLE_FILE_DAMAGED"));
    await expect(read({ fileFormat: "ORC" })).rejects.toThrow(coded("TABLE_NOT_READABLE", /ORC/));
  });

  it("The rows of many small files share record batches, in the order of their commits", async () => {
    const table = new HandTable("id bigint");
    for (let i = 0; i < 20; i++) await table.commit(await table.write("id bigint", [[i]]));
    expect((await table.rows()).map(({ id }) => id)).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  it("A table without snapshots has no rows", async () => {
    expect(await new HandTable("id bigint").rows()).toEqual([]);
  });
});

describe("deletes of an Iceberg table", () => {
  const ids = async (table: HandTable) => (await table.rows()).map(({ id }) => Number(id));
  const rows = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => [from + i]);

  async function twoFiles() {
    const table = new HandTable("id bigint");
    const [one] = (await table.write("id bigint", rows(0, 10))) as [DataFile];
    const [two] = (await table.write("id bigint", rows(10, 20))) as [DataFile];
    await table.commit([one, two]);
    return { table, one, two };
  }

  it("Position deletes remove rows of each file in all row groups, also if two name the same row", async () => {
    const { table, one, two } = await twoFiles();
    const first = await table.deletes([
      [one.filePath, 0],
      [one.filePath, 4],
      [two.filePath, 9],
    ]);
    const second = await table.deletes([
      [one.filePath, 3],
      [one.filePath, 4],
    ]);
    await table.commit([], [first, second]);
    expect(await ids(table)).toEqual([1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]);
  });

  it("Position deletes apply to files of their own commit and before, and not to later ones", async () => {
    const { table, one } = await twoFiles();
    const [same] = (await table.write("id bigint", rows(20, 22))) as [DataFile];
    await table.commit(
      [same],
      [
        await table.deletes([
          [one.filePath, 1],
          [same.filePath, 0],
        ]),
      ],
    );
    expect(await ids(table)).not.toEqual(expect.arrayContaining([1]));
    expect(await ids(table)).toContain(21);
    expect(await ids(table)).not.toContain(20);
    // The same file is added again, later.
    const later = new HandTable("id bigint");
    const [file] = (await later.write("id bigint", rows(0, 3))) as [DataFile];
    await later.commit([], [await later.deletes([[file.filePath, 0]])]);
    await later.commit([file]);
    expect(await ids(later)).toEqual([0, 1, 2]);
  });

  it("Position deletes apply in their partition only, unless they name their only data file", async () => {
    const table = new HandTable("id bigint, region string", ["region"]);
    const files = await table.write("id bigint, region string", [
      [1, "eu"],
      [2, "us"],
    ]);
    const eu = files.find(({ partition }) => partition[0] === "eu") as DataFile;
    await table.commit(files);
    const inUs = await table.deletes([[eu.filePath, 0]], { partition: ["us"] });
    await table.commit([], [inUs]);
    expect((await ids(table)).sort()).toEqual([1, 2]);
    await table.commit([], [{ ...inUs, referencedDataFile: eu.filePath }]);
    expect(await ids(table)).toEqual([2]);
  });

  it("Equality deletes that apply to a file are refused, and those before all files are not", async () => {
    const { table } = await twoFiles();
    const equality = { ...(await table.deletes([["x", 1]])), content: 2, equalityIds: [1] };
    await table.commit([], [equality]);
    const error = await table.rows().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "TABLE_NOT_READABLE", hint: expect.stringContaining("Spark") });
    const before = new HandTable("id bigint");
    await before.commit([], [{ ...(await before.deletes([["x", 1]])), content: 2, equalityIds: [1] }]);
    await before.commit(await before.write("id bigint", rows(0, 2)));
    expect(await ids(before)).toEqual([0, 1]);
  });

  it("A deletion vector is refused", async () => {
    const { table, one } = await twoFiles();
    const vector = await table.deletes([[one.filePath, 1]], {
      fileFormat: "PUFFIN",
      referencedDataFile: one.filePath,
    });
    await table.commit([], [vector]);
    await expect(table.rows()).rejects.toThrow(coded("TABLE_NOT_READABLE", /PUFFIN/));
  });

  it("A delete file that is damaged is an error that names it", async () => {
    const { table, one } = await twoFiles();
    const file = await table.deletes([[one.filePath, 1]]);
    await table.commit([], [{ ...file, recordCount: 2 }]);
    await expect(table.rows()).rejects.toThrow(coded("TABLE_FILE_DAMAGED", new RegExp(file.filePath)));
  });
});

const DDL = "n bigint, x double, s string, day date, at timestamp, place struct<c:int>";
const LONG = "x".repeat(20);
/** One file each. The last one has nulls only. */
const FILES: readonly (readonly (readonly unknown[])[])[] = [
  [
    [1, 1.5, "apple", "2026-01-01", "2026-01-01T00:00:00Z", { c: 1 }],
    [2, Number.NaN, `${LONG}b`, "2026-01-01", "2026-01-01T12:00:00Z", { c: 2 }],
  ],
  [[5, 10, `${LONG}a`, "2026-01-02", "2026-01-02T23:59:59.999999Z", null]],
  [
    [9, -1, "pear", "2026-01-03", "2026-01-03T00:00:00Z", { c: null }],
    [null, 3, null, "2026-01-03", "2026-01-03T01:00:00Z", { c: 9 }],
  ],
  [[null, null, null, null, null, null]],
];

describe.each([
  ["without partitions", []],
  ["by day", ["day(at)"]],
  ["by identity", ["day"]],
  ["by truncate", ["truncate(5, n)", "truncate(3, s)"]],
  ["by bucket", ["bucket(4, n)"]],
] as const)("an Iceberg table %s as a source", (division, by) => {
  async function source(hasBounds: boolean) {
    const table = new HandTable(DDL, by);
    for (const rows of FILES) {
      const files = await table.write(DDL, rows);
      const bare = files.map(
        ({ lowerBounds: _, upperBounds: __, nullValueCounts: ___, valueCounts: ____, ...rest }) => rest,
      );
      await table.commit(hasBounds ? files : bare);
    }
    const { arrowSchema } = snapshotToRead(table.metadata);
    const open = async () => ({ metadata: table.metadata, io: table.io });
    return { table, schema: arrowSchema, reader: () => new IcebergReader(arrowSchema, open) };
  }

  /** Plans and reads with readers of their own, as tasks do. */
  async function read(made: Awaited<ReturnType<typeof source>>, filters: readonly Filter[]) {
    const planner = made.reader();
    expect(planner.pushFilters(filters)).toBe(filters);
    const slices = JSON.parse(JSON.stringify(await planner.partitions())) as readonly SnapshotSlice[];
    const matcher = filterMatcher(made.schema, filters);
    const found: unknown[] = [];
    let rows = 0;
    for (const slice of slices) {
      for await (const batch of made.reader().read(slice)) {
        rows += batch.numRows;
        for (const row of matcher.split(batch).matching) found.push(batch.getChildAt(0)?.get(row));
      }
    }
    return { found, rows };
  }

  it.each<readonly [string, Filter, readonly unknown[], number]>([
    ["equality", new EqualTo("n", 5n), [5n], 1],
    ["NaN, which is greater than all numbers", new GreaterThan("x", 100), [2n], 5],
    ["numbers below", new LessThan("x", 0), [9n], 2],
    ["a text above a bound that was cut off", new GreaterThan("s", `${LONG}a`), [2n], 3],
    ["a prefix", new StringStartsWith("s", "pe"), [9n], 4],
    ["a null", new IsNull("n"), [null, null], 3],
    ["a value", new IsNotNull("n"), [1n, 2n, 5n, 9n], 5],
    ["a day", new EqualTo("day", "2026-01-02"), [5n], 1],
    [
      "the last microsecond of a day",
      new GreaterThanOrEqual("at", "2026-01-02T23:59:59.999999Z"),
      [5n, 9n, null],
      3,
    ],
    ["the first microsecond of a day", new LessThan("at", "2026-01-02T00:00:00Z"), [1n, 2n], 2],
    ["a field of a struct", new EqualTo(["place", "c"], 9), [null], 2],
    ["a list", new In("n", [2n, 7n]), [2n], 2],
    ["a negation", new Not(new GreaterThan("n", 4n)), [1n, 2n], 2],
    ["a conjunction", new And(new GreaterThan("n", 4n), new LessThan("day", "2026-01-03")), [5n], 1],
  ])(
    `Filters on a table ${division} leave out no row that matches %s`,
    async (_, filter, expected, withBounds) => {
      const exact = await read(await source(true), [filter]);
      expect(exact.found).toEqual(expected);
      // Partitions leave out as much as bounds or more.
      expect(exact.rows).toBeLessThanOrEqual(withBounds);
      const bare = await read(await source(false), [filter]);
      expect(bare.found).toEqual(expected);
      if (by.length === 0) expect([exact.rows, bare.rows]).toEqual([withBounds, 6]);
    },
  );
});

describe("an Iceberg table as a source", () => {
  it("A batch reads the snapshot that was planned, although other rows were added since", async () => {
    const table = new HandTable("id bigint, name string");
    await table.commit(await table.write("id bigint, name string", [[1, "a"]]));
    const open = async () => ({ metadata: table.metadata, io: table.io });
    const { arrowSchema } = snapshotToRead(table.metadata);
    const slices = await new IcebergReader(arrowSchema, open).partitions();
    table.alter(() => [field(1, "id", "long"), field(2, "title", "string")]);
    await table.commit(await table.write("id bigint, title string", [[2, "b"]]));
    const batches = await Array.fromAsync(
      new IcebergReader(arrowSchema, open).read(slices[0] as SnapshotSlice),
    );
    expect(batches.map((batch) => batch.toArray().map((row) => row.toJSON()))).toEqual([
      [{ id: 1n, name: "a" }],
    ]);
  });

  it("Days without bounds are left out by the partition of their files", async () => {
    const table = new HandTable(DDL, ["day(at)"]);
    for (const rows of FILES) {
      const files = await table.write(DDL, rows);
      await table.commit(files.map(({ lowerBounds: _, upperBounds: __, ...rest }) => rest));
    }
    const { arrowSchema } = snapshotToRead(table.metadata);
    const reader = new IcebergReader(arrowSchema, async () => ({ metadata: table.metadata, io: table.io }));
    reader.pushFilters([new GreaterThan("at", "2026-01-02T23:59:59.999998Z"), new IsNotNull("at")]);
    const slices = await reader.partitions();
    expect(slices.flatMap(({ files }) => files.map(({ rows }) => rows))).toEqual([1, 2]);
  });
});
