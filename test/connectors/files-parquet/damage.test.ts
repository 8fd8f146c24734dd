import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { MillraceError } from "../../../shared/contract/errors.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { type MadeColumn, type MadeFooter, type MadePage, madeFile, type ThriftFields } from "./made-file.ts";
import { batchesOf, failure } from "./source.ts";

async function rowsIn(file: Uint8Array, ddl?: string): Promise<unknown[]> {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "a.parquet"), file);
  const rows: unknown[] = [];
  const schema = ddl === undefined ? undefined : parseDdl(ddl);
  for await (const batch of batchesOf({ path: folder }, schema)) rows.push(...rowsOf(batch));
  return rows;
}

const id: MadeColumn = { name: "id", values: [1n, 2n, 3n] };
const page = (values: readonly bigint[], header: ThriftFields = {}): MadePage => ({
  body: new Uint8Array(BigInt64Array.from(values).buffer),
  header: { 5: { 1: values.length, 2: 0, 3: 3, 4: 3 }, ...header },
});
const dataHeader = (count: number, encoding: number) => ({ 5: { 1: count, 2: encoding, 3: 3, 4: 3 } });

describe("a Parquet file made byte by byte", () => {
  it("A Parquet file that says the truth is read, with and without checksums", async () => {
    const rows = [{ id: 1 }, { id: 2 }, { id: 3 }];
    expect(await rowsIn(madeFile([id]))).toEqual(rows);
    expect(await rowsIn(madeFile([{ ...id, crc: "right" }]))).toEqual(rows);
  });

  it("A Parquet page whose checksum is wrong is an error with the file, the column and the page", async () => {
    const columns: MadeColumn[] = [
      { name: "a", values: [1n, 2n], crc: "right" },
      { name: "b", values: [1n, 2n], pages: [page([1n]), { ...page([2n]), crc: "wrong" }] },
    ];
    expect(await failure(rowsIn(madeFile(columns)))).toMatchObject({
      code: "FILE_MALFORMED",
      message: expect.stringContaining('column "b", row group 1, page 2: its checksum'),
      where: { path: expect.stringMatching(/a\.parquet$/) },
    });
    expect(await rowsIn(madeFile(columns), "a bigint")).toEqual([{ a: 1 }, { a: 2 }]);
  });

  it.each<[lie: string, columns: readonly MadeColumn[], lies: MadeFooter, message: RegExp]>([
    ["more rows than its row groups", [id], { footer: { 3: 4n } }, /has 4 rows, and its row groups have 3/],
    ["fewer rows than its row groups", [id], { footer: { 3: 2n } }, /has 2 rows, and its row groups have 3/],
    ["a negative number of rows", [id], { footer: { 3: -3n } }, /number of rows is -3/],
    [
      "a number of rows beyond 2^53",
      [id],
      { footer: { 3: 2n ** 62n } },
      /number of rows is 4611686018427387904/,
    ],
    ["no schema", [id], { footer: { 2: undefined } }, /its schema is missing/],
    ["an empty schema", [id], { footer: { 2: [] } }, /its schema/],
    ["no row groups", [id], { footer: { 4: undefined } }, /list of row groups is missing/],
    ["a text in place of the row groups", [id], { footer: { 4: "x" } }, /list of row groups is not a list/],
    [
      "a row group with more rows than its columns",
      [id],
      { rowGroup: { 3: 9n }, footer: { 3: 9n } },
      /"id" 3 values, and it has 9 rows/,
    ],
    ["a row group without its columns", [id], { rowGroup: { 1: [] } }, /row group 1 has 0/],
    ["more columns than there are", [id], { root: { 5: 2 } }, /fewer columns than it says/],
    [
      "fewer columns than there are",
      [id, { ...id, name: "b" }],
      { root: { 5: 1 } },
      /more columns than it says/,
    ],
    ["a negative number of columns", [id], { root: { 5: -1 } }, /number of children is -1/],
    ["2^31 columns", [id], { root: { 5: 2 ** 31 - 1 } }, /fewer columns than it says/],
    ["fewer values than rows", [id, { name: "b", values: [1n] }], {}, /"b" 1 values, and it has 3 rows/],
    [
      "more values than rows",
      [id, { name: "b", values: [1n, 2n, 3n, 4n] }],
      {},
      /"b" 4 values, and it has 3 rows/,
    ],
    ["an offset beyond the file", [{ ...id, meta: { 9: 10n ** 9n } }], {}, /outside of the file's pages/],
    ["a negative offset", [{ ...id, meta: { 9: -4n } }], {}, /offset of column "id" in row group 1 is -4/],
    ["a size beyond the file", [{ ...id, meta: { 7: 10n ** 12n } }], {}, /outside of the file's pages/],
    ["a negative size", [{ ...id, meta: { 7: -1n } }], {}, /size of column "id" in row group 1 is -1/],
    [
      "another type than the schema",
      [{ ...id, meta: { 1: 5 } }],
      {},
      /the type DOUBLE, and the schema has INT64/,
    ],
    ["a type that does not exist", [{ ...id, element: { 1: 77 } }], {}, /type of column "id" is 77/],
    ["another column's name", [{ ...id, meta: { 3: ["b"] } }], {}, /has for the column "id" the column "b"/],
    ["no metadata of a column", [{ ...id, chunk: { 3: undefined } }], {}, /column metadata is missing/],
    ["a date of 64 bits", [{ ...id, element: { 6: 6 } }], {}, /is DATE stored as INT64/],
    [
      "a column with a type and children",
      [{ ...id, element: { 5: 1 } }],
      {},
      /with a type and columns in it/,
    ],
  ])("A footer that says %s is an error, not a crash", async (_lie, columns, lies, message) => {
    expect(await failure(rowsIn(madeFile(columns, lies)))).toMatchObject({
      code: "FILE_MALFORMED",
      message: expect.stringMatching(message),
      where: { path: expect.stringMatching(/a\.parquet$/) },
    });
  });

  it.each<[lie: string, page: MadePage, message: RegExp]>([
    ["fewer values than the footer", page([1n, 2n]), /its pages have 2 values, and the footer says 3/],
    ["more values than the footer", page([1n, 2n, 3n, 4n]), /more than the 3 values of the footer/],
    [
      "more values than it has bytes",
      { ...page([1n, 2n]), header: dataHeader(3, 0) },
      /need 24 bytes, and it has 16/,
    ],
    ["a negative number of values", { ...page([1n]), header: dataHeader(-1, 0) }, /number of values is -1/],
    ["a size beyond the column", page([1n, 2n, 3n], { 3: 10 ** 6 }), /it has 1000000 bytes/],
    ["a negative size", page([1n, 2n, 3n], { 3: -8 }), /compressed size is -8/],
    ["another uncompressed size", page([1n, 2n, 3n], { 2: 23 }), /it has 24 bytes, and its header says 23/],
    [
      "a dictionary that is not there",
      { ...page([1n, 2n, 3n]), header: dataHeader(3, 8) },
      /needs a dictionary/,
    ],
    [
      "no header for its data",
      { ...page([1n, 2n, 3n]), header: { 5: undefined } },
      /data page header is missing/,
    ],
    [
      "levels longer than the page",
      { ...page([1n, 2n, 3n]), header: { 1: 3, 5: undefined, 8: { 1: 3, 2: 0, 3: 3, 4: 0, 5: 99, 6: 0 } } },
      /levels end too early/,
    ],
    [
      "other rows than values",
      { ...page([1n, 2n, 3n]), header: { 1: 3, 5: undefined, 8: { 1: 3, 2: 0, 3: 2, 4: 0, 5: 0, 6: 0 } } },
      /number of rows than its header says, 2/,
    ],
  ])("A page whose header says %s is an error, not a crash", async (_lie, made, message) => {
    expect(await failure(rowsIn(madeFile([{ ...id, pages: [made] }])))).toMatchObject({
      code: "FILE_MALFORMED",
      message: expect.stringMatching(message),
    });
  });

  it.each<[feature: string, column: MadeColumn, message: RegExp]>([
    ["LZO", { ...id, meta: { 4: 3 } }, /compressed with LZO/],
    ["a codec of the future", { ...id, meta: { 4: 42 } }, /compression codec 42/],
    [
      "an encoding of the future",
      { ...id, pages: [{ ...page([1n, 2n, 3n]), header: dataHeader(3, 42) }] },
      /encoding number 42/,
    ],
    [
      "an encoding of other types",
      { ...id, pages: [{ ...page([1n, 2n, 3n]), header: dataHeader(3, 7) }] },
      /INT64 values in the encoding DELTA_BYTE_ARRAY/,
    ],
    [
      "a type of page of the future",
      { ...id, pages: [{ ...page([1n]), header: { 1: 9 } }] },
      /page of the unknown type 9/,
    ],
    [
      "2^31 values in one page",
      { ...id, pages: [{ ...page([1n]), header: dataHeader(2 ** 31 - 1, 0) }] },
      /2147483647 values/,
    ],
    [
      "2 GiB in one page",
      { ...id, meta: { 4: 6 }, pages: [page([1n], { 2: 2 ** 31 - 1 })] },
      /2147483647 bytes/,
    ],
    ["encryption of the column", { ...id, chunk: { 8: {} } }, /column "id" is encrypted/],
    ["another file", { ...id, chunk: { 1: "other.parquet", 2: 0n } }, /column "id" is in another file/],
    [
      "levels of bits",
      {
        ...id,
        element: { 3: 1 },
        pages: [{ ...page([1n, 2n, 3n]), header: { 5: { 1: 3, 2: 0, 3: 4, 4: 4 } } }],
      },
      /levels in the encoding BIT_PACKED/,
    ],
  ])(
    "A Parquet column that needs %s is an error that says so, unless it is left out",
    async (_, column, message) => {
      const file = madeFile([column, { ...id, name: "other" }]);
      expect(await failure(rowsIn(file))).toMatchObject({
        code: "FILE_FEATURE_NOT_SUPPORTED",
        message: expect.stringMatching(message),
        where: { path: expect.stringMatching(/a\.parquet$/), field: "id" },
      });
      expect(await rowsIn(file, "other bigint")).toHaveLength(3);
    },
  );

  it("An encrypted Parquet file is an error that says so", async () => {
    const file = madeFile([id]);
    file.write("PARE", file.length - 4);
    expect(await failure(rowsIn(file))).toMatchObject({
      code: "FILE_FEATURE_NOT_SUPPORTED",
      message: expect.stringContaining("encrypted"),
    });
  });

  it("A Parquet file of which a column is there twice is an error, unless another one is read", async () => {
    const file = madeFile([
      { name: "a", values: [1n] },
      { name: "a", values: [2n] },
      { name: "b", values: [3n] },
    ]);
    for (const ddl of [undefined, "a bigint, b bigint"])
      expect(await failure(rowsIn(file, ddl))).toMatchObject({
        code: "FILE_MALFORMED",
        message: expect.stringContaining('it has the column "a" twice'),
      });
    expect(await rowsIn(file, "b bigint")).toEqual([{ b: 3 }]);
  });

  it("A Parquet column may be called like a path, like nothing, or like a property of objects", async () => {
    const names = ["a.b", "", "constructor", "\uFEFFid", "id"];
    const file = madeFile(names.map((name, i) => ({ name, values: [BigInt(i)] })));
    const [batch] = await Array.fromAsync(batchesOf({ path: folderWith(file) }));
    expect(batch?.schema.fields.map(({ name }) => name)).toEqual(names);
    expect(names.map((_, i) => batch?.getChildAt(i)?.get(0))).toEqual([0n, 1n, 2n, 3n, 4n]);
    expect(await rowsIn(file, "`a.b` bigint, id bigint")).toEqual([{ "a.b": 0, id: 4 }]);
  });

  it("A name of a Parquet column that differs only in case is an error with both names", async () => {
    expect(
      await failure(
        rowsIn(
          madeFile([
            { ...id, name: "ID" },
            { ...id, name: "b" },
          ]),
          "id bigint, b bigint",
        ),
      ),
    ).toMatchObject({
      code: "COLUMN_MISNAMED",
      message: expect.stringMatching(/"id".*"ID"/),
    });
    expect(await rowsIn(madeFile([{ ...id, name: "ID" }, id]), "id bigint")).toHaveLength(3);
  });

  it("A column of the schema that a Parquet file does not have is an error, or null if the option says so", async () => {
    const folder = folderWith(madeFile([id]));
    const schema = parseDdl("id bigint, name string");
    const error = await failure(Array.fromAsync(batchesOf({ path: folder }, schema)));
    expect(error).toMatchObject({
      code: "COLUMN_MISSING",
      message: 'the file has no column "name": it has "id"',
      hint: expect.stringContaining('`missingColumns: "null"`'),
      where: { path: join(folder, "a.parquet"), field: "name" },
    });
    const [batch] = await Array.fromAsync(batchesOf({ path: folder, missingColumns: "null" }, schema));
    expect(batch === undefined ? [] : [...rowsOf(batch)][0]).toEqual({ id: 1, name: null });
    const none = batchesOf({ path: folder, missingColumns: "null" }, parseDdl("name string"));
    expect(await failure(Array.fromAsync(none))).toMatchObject({ code: "FILE_MALFORMED" });
  });

  it("A Parquet file that is cut at any place, or has any byte changed, is an error or has the same rows", async () => {
    const file = madeFile([
      { ...id, crc: "right" },
      { ...id, name: "b", crc: "right" },
    ]);
    const rows = JSON.stringify(await rowsIn(file));
    for (let length = 0; length < file.length; length++)
      expect(await failure(rowsIn(file.subarray(0, length)))).toMatchObject({ code: "FILE_MALFORMED" });
    for (let i = 4; i < file.length; i++) {
      const changed = Buffer.from(file);
      changed[i] = (changed[i] ?? 0) ^ (1 << (i % 8));
      const found = await rowsIn(changed, "id bigint, b bigint").then(
        JSON.stringify,
        (error: unknown) => error,
      );
      if (found === rows) continue;
      expect(MillraceError.is(found)).toBe(true);
      expect((found as MillraceError).cause).not.toBeInstanceOf(TypeError);
    }
  });
});

function folderWith(file: Uint8Array): string {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "a.parquet"), file);
  return folder;
}
