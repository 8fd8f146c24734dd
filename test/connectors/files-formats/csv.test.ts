import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import type { FilesOptions } from "../../../shared/connectors/files/index.ts";
import { causeOf } from "../../../shared/contract/errors.ts";
import { ALL_TYPES, ALL_VALUES, NULLS } from "./all-types.ts";
import { failure, folderOf, rowsIn } from "./folder-of-files.ts";

describe("a CSV file", () => {
  const csv = (options: Partial<FilesOptions>, files: Readonly<Record<string, string | Uint8Array>>) => ({
    path: folderOf(files),
    format: "csv" as const,
    ...options,
  });

  it("A CSV file has values of every type but nested ones, and null for an empty field", async () => {
    const body = [
      "span,t2,txt,ntz,ts,day,bin,m,d,f,i,s,t,b,id,extra",
      `P1DT2H3M4.5S,23:59:59.999999,"a ""quoted"", text\nin two lines é",2026-11-21 09:30:00.123,2026-11-21T09:30:00.123456+01:00,1969-12-31,AAEC/w==,1234567890123456.7891,1e-300,.5,-2147483648,32767,-128,TRUE,9007199254740993,x`,
      ",,,,,,,,,,,,,,1,",
      '"","","","","","","","","","","","","","","2",""',
    ].join("\r\n");
    expect(await rowsIn(csv({}, { "a.csv": `\uFEFF${body}\r\n` }), ALL_TYPES)).toEqual([
      ALL_VALUES,
      { ...NULLS, id: 1 },
      // An empty text in quotes is read as an empty text and not as null.
      { ...NULLS, id: 2, txt: "", bin: "" },
    ]);
  });

  it("A CSV file may have other delimiters, quotes and words for null, and no header", async () => {
    const options = { header: false, delimiter: ";", quote: "'", escape: "\\", nullValue: "NA" };
    const files = { "a.csv": "1;'it\\'s; so';NA\n\n2;NA;'NA'\n3;;\n" };
    expect(await rowsIn(csv(options, files), "id int, a string, b string")).toEqual([
      { id: 1, a: "it's; so", b: null },
      { id: 2, a: null, b: "NA" },
      { id: 3, a: "", b: "" },
    ]);
  });

  it("A CSV file whose header does not name a column is an error, or has null by an option", async () => {
    const files = { "a.csv": "id\n1\n" };
    const refused = await failure(rowsIn(csv({}, files), "id int, later string"));
    expect(refused).toMatchObject({
      code: "COLUMN_MISSING",
      message: 'the file has no column "later": it has "id"',
      hint: 'Leave the column out of .schema(…), or set `missingColumns: "null"` to read it as null.',
      where: { path: expect.stringMatching(/a\.csv$/), field: "later" },
    });
    expect(await failure(rowsIn(csv({}, files), "id int, later string, last int"))).toMatchObject({
      code: "COLUMN_MISSING",
      message: 'the file has no columns "later", "last": it has "id"',
    });
    const options = csv({ missingColumns: "null" }, files);
    expect(await rowsIn(options, "id int, later string")).toEqual([{ id: 1, later: null }]);
    const error = await failure(rowsIn(options, "id int, later string NOT NULL"));
    expect(error).toMatchObject({ code: "ROW_MISMATCH", where: { row: 1, field: "later" } });
  });

  it("A CSV file reads the words for numbers that are not finite as Spark does", async () => {
    const rows = await rowsIn(csv({}, { "a.csv": "d\nNaN\nInf\n-Infinity\n+1.5e3\n 7 \n" }), "d double");
    expect(rows.map(({ d }) => d)).toEqual([Number.NaN, Infinity, -Infinity, 1500, 7]);
  });

  it.each([
    ["1,content\n2,y,z\n", 2, "the record that ends in line 3: it has not as many fields as the first one"],
    ['1,"content\n2,y\n', 1, "the record that ends in line 3: a quote is never closed"],
    ['1,content"y\n', 1, "the record that ends in line 2: a quote in a field that does not begin with one"],
    ['1,"content"y\n', 1, "the record that ends in line 2: a quote within quotes"],
  ])(
    "The error of a malformed CSV file has its name and line but none of its content: %j",
    async (body, row, problem) => {
      const options = csv({}, { "in/a.csv": `id,name\n${body}` });
      const error = await failure(rowsIn(options, "id int, name string"));
      expect(error).toMatchObject({
        code: "FILE_MALFORMED",
        where: { path: join(options.path, "in/a.csv"), row },
      });
      expect(error.message).toContain(problem);
      expect(error.message).not.toContain("content");
      expect((causeOf(error) ?? "").split("\n")).toHaveLength(1);
    },
  );

  it.each([
    ["id, name, price\n1,a,2\n", 'columns "name", "price" are not there, but " name", " price" are'],
    ["ID,Name,Price\n1,a,2\n", 'columns "id", "name", "price" are not there, but "ID", "Name", "Price" are'],
    ["id,name,Pri-ce\n1,a,2\n", 'column "price" is not there, but "Pri-ce" is'],
  ])(
    "A CSV header that has columns under other names than the schema is an error, not null: %j",
    async (body, problem) => {
      const options = csv({}, { "a.csv": body });
      const error = await failure(rowsIn(options, "id int, name string, price int"));
      expect(error).toMatchObject({
        code: "COLUMN_MISNAMED",
        message: problem,
        where: { path: join(options.path, "a.csv") },
      });
      expect(error.where.row).toBeUndefined();
      expect(error.hint?.includes("trim: true")).toBe(body.includes(" "));
    },
  );

  it("A CSV file may have a column with a name near that of a missing one if the schema has both", async () => {
    const files = { "a.csv": "userId\n1\n" };
    expect(await rowsIn(csv({ missingColumns: "null" }, files), "userId int, user_id int")).toEqual([
      { userId: 1, user_id: null },
    ]);
  });

  it("A CSV file has no spaces around fields with the option trim", async () => {
    const files = { "a.csv": 'id, name ,price\n1, "a, b" , 2\n' };
    expect(await rowsIn(csv({ trim: true }, files), "id int, name string, price int")).toEqual([
      { id: 1, name: "a, b", price: 2 },
    ]);
  });

  it.each([
    [
      "a;b\n1;2\n",
      'its header has 1 column, and none of the schema\'s: "id"',
      /delimiter.*header.*schema/,
      '["a;b"]',
    ],
    ["id,id\n1,2\n", 'its header has "id" twice', /ignoreMissingFiles/, undefined],
  ])("A CSV header that does not fit is an error: %j", async (body, problem, hint, found) => {
    const error = await failure(rowsIn(csv({}, { "a.csv": body }), "id int"));
    expect(error).toMatchObject({ code: "FILE_MALFORMED", hint: expect.stringMatching(hint), found });
    expect(error.message.endsWith(`: ${problem}`)).toBe(true);
    expect(error.where.row).toBeUndefined();
  });

  it("A CSV file without a header must have as many fields as the schema", async () => {
    const error = await failure(rowsIn(csv({ header: false }, { "a.csv": "1,2,3\n" }), "a int, b int"));
    expect(error).toMatchObject({
      code: "FILE_MALFORMED",
      message: expect.stringContaining("has 3 fields"),
      hint: expect.stringMatching(/delimiter.*schema/),
    });
  });

  it("The error of a CSV value that does not fit has its file, row and field, but not the value", async () => {
    const options = csv({}, { "a.csv": "id\n1\n", "b.csv": "id\n2\n3\nsecret\n" });
    const error = await failure(rowsIn(options, "id int"));
    expect(error).toMatchObject({
      code: "ROW_MISMATCH",
      where: { path: join(options.path, "b.csv"), row: 3, field: "id" },
      found: '"secret"',
    });
    expect(error.message).toMatch(/^row 3, field "id": expected int/);
    expect(error.message).not.toContain("secret");
  });

  it("A CSV file that is not in UTF-8 is an error, not text with holes", async () => {
    const error = await failure(
      rowsIn(csv({}, { "a.csv": Buffer.from("id\nx\nM\xfcller\n", "latin1") }), "id string"),
    );
    expect(error).toMatchObject({
      code: "FILE_MALFORMED",
      message: expect.stringMatching(/: line 3 is not UTF-8$/),
    });
    expect(error.where.row).toBeUndefined();
  });

  it("A CSV file that leaves UTF-8 far below, or ends within a character, is an error with its line", async () => {
    const lines = Buffer.from(`id\n${`${"é".repeat(20)}\n`.repeat(239_999)}`);
    const cut = Buffer.concat([lines, Buffer.from("é").subarray(0, 1)]);
    expect(cut.length).toBeGreaterThan(9 * 1024 * 1024);
    const error = await failure(rowsIn(csv({}, { "a.csv.gz": gzipSync(cut) }), "id string"));
    expect(error.message).toMatch(/: line 240001 is not UTF-8$/);
  });

  it("A CSV file cannot hold nested values", async () => {
    const error = await failure(rowsIn(csv({}, { "a.csv": "id\n1\n" }), "id array<int>"));
    expect(error).toMatchObject({ code: "TYPE_NOT_SUPPORTED", where: { field: "id" } });
  });

  it("A CSV file may be empty", async () => {
    const files = { "a.csv": "", "b.csv": "id\n", "c.csv.gz": "", "d.csv": "\n\n" };
    expect(await rowsIn(csv({}, files), "id int")).toEqual([]);
    expect(await rowsIn(csv({ header: false }, files), "id string")).toEqual([{ id: "id" }]);
  });

  it("A CSV file that is larger than one read is read whole", async () => {
    const line = (id: number) => `${id},"${"é,\n".repeat(id % 50)}"`;
    const ids = Array.from({ length: 200_000 }, (_, id) => id);
    const body = `id,name\n${ids.map(line).join("\r\n")}`;
    expect(body.length).toBeGreaterThan(10 * 1024 * 1024);
    const rows = await rowsIn(csv({}, { "a.csv": body }), "id int, name string");
    expect(rows).toHaveLength(ids.length);
    expect(rows.every(({ id, name }, i) => id === i && name === "é,\n".repeat(i % 50))).toBe(true);
  });
});
