import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { RecordBatchStreamWriter, type Schema } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { encodeFile } from "../../../shared/arrow/ipc-file.ts";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { Files, type FilesOptions } from "../../../shared/connectors/files/index.ts";
import type { TaskContext } from "../../../shared/contract/context.ts";
import { schemaToJson } from "../../../shared/contract/ddl/json.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { causeOf, type MillraceError } from "../../../shared/contract/errors.ts";
import { parseOptions } from "../../../shared/contract/options/parse.ts";
import { temporaryFolder } from "../../support/folder.ts";
import { hasPython, runPython } from "../../support/python.ts";
import { withStores } from "../../support/runtime.ts";

const task = { signal: new AbortController().signal } as TaskContext;

/** A folder with these files. */
function folderOf(files: Readonly<Record<string, string | Uint8Array>>): string {
  const folder = temporaryFolder();
  for (const [name, body] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), body);
  }
  return folder;
}

async function source(options: FilesOptions): Promise<Files> {
  const runtime = {
    now: Date.now,
    random: () => 0.5,
    newId: () => "id",
    sleep: async () => undefined,
    env: {},
  };
  return new Files(await parseOptions(Files, { ...options }), withStores(runtime));
}

/** The rows of all files, as a batch reads them. */
async function rowsIn(options: FilesOptions, schema: Schema | string): Promise<Record<string, unknown>[]> {
  const reader = (await source(options)).reader(typeof schema === "string" ? parseDdl(schema) : schema);
  const rows: Record<string, unknown>[] = [];
  for (const partition of await reader.partitions()) {
    for await (const batch of (await reader.read(partition, task)) as AsyncIterable<never>)
      rows.push(...rowsOf(batch));
  }
  return rows;
}

async function failure(body: Promise<unknown>): Promise<MillraceError> {
  return (await body.then(
    () => undefined,
    (error: unknown) => error,
  )) as MillraceError;
}

async function arrowFile(ddl: string, rows: readonly (readonly unknown[])[]): Promise<Uint8Array> {
  const schema = parseDdl(ddl);
  return Buffer.concat(await Array.fromAsync(encodeFile(schema, [recordBatchOf(schema, rows)])));
}

const ALL_TYPES =
  "id bigint NOT NULL, b boolean, t tinyint, s smallint, i int, f float, d double, m decimal(20,4), txt string, bin binary, day date, ts timestamp, ntz timestamp_ntz, t2 time, span interval day to second";
const ALL_VALUES = {
  id: "9007199254740993",
  b: true,
  t: -128,
  s: 32767,
  i: -2147483648,
  f: 0.5,
  d: 1e-300,
  m: "1234567890123456.7891",
  txt: 'a "quoted", text\nin two lines é',
  bin: "AAEC/w==",
  day: "1969-12-31",
  ts: "2026-11-21T08:30:00.123456Z",
  ntz: "2026-11-21T09:30:00.123",
  t2: "23:59:59.999999",
  span: "P1DT2H3M4.5S",
};
const NULLS = Object.fromEntries(Object.keys(ALL_VALUES).map((name) => [name, null]));

describe("a CSV file", () => {
  const csv = (options: Partial<FilesOptions>, files: Readonly<Record<string, string | Uint8Array>>) => ({
    path: folderOf(files),
    format: "csv" as const,
    ...options,
  });

  it("has values of every type but nested ones, and null for an empty field", async () => {
    const body = [
      "span,t2,txt,ntz,ts,day,bin,m,d,f,i,s,t,b,id,extra",
      `P1DT2H3M4.5S,23:59:59.999999,"a ""quoted"", text\nin two lines é",2026-11-21 09:30:00.123,2026-11-21T09:30:00.123456+01:00,1969-12-31,AAEC/w==,1234567890123456.7891,1e-300,.5,-2147483648,32767,-128,TRUE,9007199254740993,x`,
      ",,,,,,,,,,,,,,1,",
      '"","","","","","","","","","","","","","","2",""',
    ].join("\r\n");
    expect(await rowsIn(csv({}, { "a.csv": `\uFEFF${body}\r\n` }), ALL_TYPES)).toEqual([
      ALL_VALUES,
      { ...NULLS, id: 1 },
      // An empty text in quotes is a text.
      { ...NULLS, id: 2, txt: "", bin: "" },
    ]);
  });

  it("may have other delimiters, quotes and words for null, and no header", async () => {
    const options = { header: false, delimiter: ";", quote: "'", escape: "\\", nullValue: "NA" };
    const files = { "a.csv": "1;'it\\'s; so';NA\n\n2;NA;'NA'\n3;;\n" };
    expect(await rowsIn(csv(options, files), "id int, a string, b string")).toEqual([
      { id: 1, a: "it's; so", b: null },
      { id: 2, a: null, b: "NA" },
      { id: 3, a: "", b: "" },
    ]);
  });

  it("has null for a column that its header does not name", async () => {
    expect(await rowsIn(csv({}, { "a.csv": "id\n1\n" }), "id int, later string")).toEqual([
      { id: 1, later: null },
    ]);
    const error = await failure(rowsIn(csv({}, { "a.csv": "id\n1\n" }), "id int, later string NOT NULL"));
    expect(error).toMatchObject({ code: "ROW_MISMATCH", where: { row: 1, field: "later" } });
  });

  it("reads numbers that are none as Spark does", async () => {
    const rows = await rowsIn(csv({}, { "a.csv": "d\nNaN\nInf\n-Infinity\n+1.5e3\n 7 \n" }), "d double");
    expect(rows.map(({ d }) => d)).toEqual([Number.NaN, Infinity, -Infinity, 1500, 7]);
  });

  it.each([
    ["1,content\n2,y,z\n", 2, "the record that ends in line 3: it has not as many fields as the first one"],
    ['1,"content\n2,y\n', 1, "the record that ends in line 3: a quote is never closed"],
    ['1,content"y\n', 1, "the record that ends in line 2: a quote in a field that does not begin with one"],
    ['1,"content"y\n', 1, "the record that ends in line 2: a quote within quotes"],
  ])(
    "that is malformed is told with its name and line, and nothing of it: %j",
    async (body, row, problem) => {
      const options = csv({}, { "in/a.csv": `id,name\n${body}` });
      const error = await failure(rowsIn(options, "id int, name string"));
      expect(error).toMatchObject({
        code: "FILE_MALFORMED",
        where: { path: join(options.path, "in/a.csv"), row },
      });
      expect(error.message).toContain(problem);
      expect(error.message).not.toContain("content");
      expect(causeOf(error)?.split("\n")).toHaveLength(1);
    },
  );

  it.each([
    ["id, name, price\n1,a,2\n", 'columns "name", "price" are not there, but " name", " price" are'],
    ["ID,Name,Price\n1,a,2\n", 'columns "id", "name", "price" are not there, but "ID", "Name", "Price" are'],
    ["id,name,Pri-ce\n1,a,2\n", 'column "price" is not there, but "Pri-ce" is'],
  ])("whose header has columns under a name of its own is an error, not null: %j", async (body, problem) => {
    const options = csv({}, { "a.csv": body });
    const error = await failure(rowsIn(options, "id int, name string, price int"));
    expect(error).toMatchObject({
      code: "COLUMN_MISNAMED",
      message: problem,
      where: { path: join(options.path, "a.csv") },
    });
    expect(error.where.row).toBeUndefined();
    expect(error.hint?.includes("trim: true")).toBe(body.includes(" "));
  });

  it("may have a column of nearly the same name as one that it has not, where the schema has both", async () => {
    expect(await rowsIn(csv({}, { "a.csv": "userId\n1\n" }), "userId int, user_id int")).toEqual([
      { userId: 1, user_id: null },
    ]);
  });

  it("has no spaces around fields with trim", async () => {
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
  ])("whose header does not fit is an error: %j", async (body, problem, hint, found) => {
    const error = await failure(rowsIn(csv({}, { "a.csv": body }), "id int"));
    expect(error).toMatchObject({ code: "FILE_MALFORMED", hint: expect.stringMatching(hint), found });
    expect(error.message.endsWith(`: ${problem}`)).toBe(true);
    expect(error.where.row).toBeUndefined();
  });

  it("without a header must have as many fields as the schema", async () => {
    const error = await failure(rowsIn(csv({ header: false }, { "a.csv": "1,2,3\n" }), "a int, b int"));
    expect(error).toMatchObject({
      code: "FILE_MALFORMED",
      message: expect.stringContaining("has 3 fields"),
      hint: expect.stringMatching(/delimiter.*schema/),
    });
  });

  it("whose value does not fit is told with its file, its row in it and the field; the value is not in the message", async () => {
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

  it("that is not in UTF-8 is an error, not text with holes", async () => {
    const error = await failure(
      rowsIn(csv({}, { "a.csv": Buffer.from("id\nx\nM\xfcller\n", "latin1") }), "id string"),
    );
    expect(error).toMatchObject({
      code: "FILE_MALFORMED",
      message: expect.stringMatching(/: line 3 is not UTF-8$/),
    });
    expect(error.where.row).toBeUndefined();
  });

  it("that is not in UTF-8 far below, or cut off within a character, is told with its line", async () => {
    const lines = Buffer.from(`id\n${"é".repeat(40)}\n`.repeat(120_000));
    const cut = Buffer.concat([lines, Buffer.from("é").subarray(0, 1)]);
    expect(cut.length).toBeGreaterThan(9 * 1024 * 1024);
    const error = await failure(rowsIn(csv({}, { "a.csv.gz": gzipSync(cut) }), "id string"));
    expect(error.message).toMatch(/: line 240001 is not UTF-8$/);
  });

  it("cannot hold nested values", async () => {
    const error = await failure(rowsIn(csv({}, { "a.csv": "id\n1\n" }), "id array<int>"));
    expect(error).toMatchObject({ code: "TYPE_NOT_SUPPORTED", where: { field: "id" } });
  });

  it("may be empty", async () => {
    const files = { "a.csv": "", "b.csv": "id\n", "c.csv.gz": "", "d.csv": "\n\n" };
    expect(await rowsIn(csv({}, files), "id int")).toEqual([]);
    expect(await rowsIn(csv({ header: false }, files), "id string")).toEqual([{ id: "id" }]);
  });

  it("is whole where it is larger than what is read at once", async () => {
    const line = (id: number) => `${id},"${"é,\n".repeat(id % 50)}"`;
    const ids = Array.from({ length: 200_000 }, (_, id) => id);
    const body = `id,name\n${ids.map(line).join("\r\n")}`;
    expect(body.length).toBeGreaterThan(10 * 1024 * 1024);
    const rows = await rowsIn(csv({}, { "a.csv": body }), "id int, name string");
    expect(rows).toHaveLength(ids.length);
    expect(rows.every(({ id, name }, i) => id === i && name === "é,\n".repeat(i % 50))).toBe(true);
  });
});

describe("a file of JSON lines", () => {
  const jsonl = (files: Readonly<Record<string, string | Uint8Array>>) => ({
    path: folderOf(files),
    format: "jsonl" as const,
  });

  it("has values of every type, with all their digits, and null for what is not there", async () => {
    const ddl = `${ALL_TYPES}, tags array<struct<k:string,v:bigint>>, attrs map<int,double>, deep struct<m:decimal(38,10),x:int>`;
    const value = {
      ...ALL_VALUES,
      tags: [
        { k: "a", v: "9007199254740993" },
        { k: null, v: null },
      ],
      attrs: { 1: 0.5, 2: null },
      deep: { m: "1234567890123456789012345678.1234567891", x: null },
    };
    const line = JSON.stringify(value)
      .replaceAll('"9007199254740993"', "9007199254740993")
      .replace('"1234567890123456.7891"', "1234567890123456.7891")
      .replace('"1234567890123456789012345678.1234567891"', "1234567890123456789012345678.1234567891")
      .replace('{"k":null,"v":null}', "{}")
      .replace(',"x":null', "");
    expect(await rowsIn(jsonl({ "a.jsonl": `${line}\r\n\n{"id":"7","other":[1]}` }), ddl)).toEqual([
      value,
      { ...NULLS, id: 7, tags: null, attrs: null, deep: null },
    ]);
  });

  it("reads an integer of any length where a double is asked for", async () => {
    const files = { "a.jsonl": '{"d":12345678901234567890,"m":0.12345678901234567890}' };
    expect(await rowsIn(jsonl(files), "d double, m double")).toEqual([
      { d: Number("12345678901234567890"), m: 0.12345678901234568 },
    ]);
    expect(await rowsIn(jsonl(files), "d decimal(20,0), m decimal(20,20)")).toEqual([
      { d: "12345678901234567890", m: "0.12345678901234567890" },
    ]);
  });

  it.each([
    ['{"id":1}\n\n{"id":', "line 3 is not JSON"],
    ['{"id":1}\n[1]\n', "line 2 is an array of 1, not an object"],
    ["null", "line 1 is null, not an object"],
  ])("that is malformed is told with its name and line: %j", async (body, problem) => {
    const options = jsonl({ "a.jsonl": body });
    const error = await failure(rowsIn(options, "id int"));
    expect(error).toMatchObject({ code: "FILE_MALFORMED", where: { path: join(options.path, "a.jsonl") } });
    expect(error.message).toContain(problem);
    // A stack would be that of the parser.
    expect(causeOf(error) ?? "").not.toContain("\n");
  });

  it("whose first record has a column under a name of its own is an error, not null; what is not there is null", async () => {
    const options = jsonl({ "a.jsonl": '{}\n{"userId":"a"}\n', "b.jsonl": '\n{"userId":"a"}\n' });
    expect(await failure(rowsIn(options, "user_id string"))).toMatchObject({
      code: "COLUMN_MISNAMED",
      message: 'column "user_id" is not there, but "userId" is',
      where: { path: join(options.path, "b.jsonl") },
      hint: 'Call it "userId" in .schema(…).',
    });
    const fine = jsonl({ "a.jsonl": '{"id":1}\n{"user_id":null,"userId":2}\n' });
    expect(await rowsIn(fine, "id int, user_id string")).toEqual([
      { id: 1, user_id: null },
      { id: null, user_id: null },
    ]);
  });

  it.each([
    ["gz", gzipSync],
    ["zst", zstdCompressSync],
  ])("may be compressed, in any number of parts, but not cut off: %s", async (end, compress) => {
    const part = (from: number) =>
      Array.from(
        { length: 50_000 },
        (_, i) => `{"id":${from + i},"noise":"${randomBytes(20).toString("hex")}"}\n`,
      ).join("");
    const parts = [0, 50_000, 100_000].map((from) => compress(Buffer.from(part(from))));
    const whole = Buffer.concat(parts);
    const rows = await rowsIn(jsonl({ [`a.jsonl.${end}`]: whole }), "id int");
    expect(rows.map(({ id }) => id)).toEqual(Array.from({ length: 150_000 }, (_, i) => i));
    for (const broken of [
      whole.subarray(0, -4),
      Buffer.concat([whole, Buffer.from("garbage, more of it")]),
    ]) {
      const error = await failure(rowsIn(jsonl({ [`a.jsonl.${end}`]: broken }), "id int"));
      expect(error).toMatchObject({ code: "FILE_MALFORMED" });
    }
  });
});

describe("an Arrow file", () => {
  const arrow = (files: Readonly<Record<string, string | Uint8Array>>) => ({
    path: folderOf(files),
    format: "arrow" as const,
  });

  it("has values of every type, and tells its schema", async () => {
    const body = await arrowFile(ALL_TYPES, [
      [
        9007199254740993n,
        true,
        -128,
        32767,
        -2147483648,
        0.5,
        1e-300,
        "1234567890123456.7891",
        ALL_VALUES.txt,
        Buffer.from("000102ff", "hex"),
        "1969-12-31",
        ALL_VALUES.ts,
        "2026-11-21T09:30:00.123",
        ALL_VALUES.t2,
        ALL_VALUES.span,
      ],
      [1, ...Array.from({ length: 14 }, () => null)],
    ]);
    const options = arrow({ "a.arrow": body });
    const schema = await (await source(options)).schema();
    expect(schemaToJson(schema)).toEqual(schemaToJson(parseDdl(ALL_TYPES)));
    expect(await rowsIn(options, schema)).toEqual([ALL_VALUES, { ...NULLS, id: 1 }]);
  });

  it("may have its columns in another order, more of them, fewer, or of other types that fit", async () => {
    const options = arrow({
      "a.arrow": await arrowFile("name string, extra int, id int", [["a", 1, 2]]),
      "b.arrow": await arrowFile("id bigint", [[9007199254740993n]]),
    });
    expect(await rowsIn(options, "id bigint, name string")).toEqual([
      { id: 2, name: "a" },
      { id: "9007199254740993", name: null },
    ]);
    expect(await failure(rowsIn(options, "other int"))).toMatchObject({
      code: "FILE_MALFORMED",
      message: expect.stringMatching(
        /its columns are "name", "extra", "id", and none of the schema's: "other"$/,
      ),
      hint: expect.stringContaining(".schema(…)"),
    });
    expect(await failure(rowsIn(options, "ID int, name string"))).toMatchObject({
      code: "COLUMN_MISNAMED",
      message: 'column "ID" is not there, but "id" is',
    });
    expect(await failure(rowsIn(options, "id bigint, name int"))).toMatchObject({
      code: "ROW_MISMATCH",
      where: { row: 1, field: "name", path: join(options.path, "a.arrow") },
    });
  });

  it("may be a stream, and larger than what is read at once", async () => {
    const schema = parseDdl("id int, noise string");
    const batch = (from: number) =>
      recordBatchOf(
        schema,
        Array.from({ length: 5000 }, (_, i) => [from + i, randomBytes(100).toString("hex")]),
      );
    const batches = Array.from({ length: 20 }, (_, i) => batch(i * 5000));
    const stream = RecordBatchStreamWriter.writeAll(batches).toUint8Array(true);
    const file = Buffer.concat(await Array.fromAsync(encodeFile(schema, batches)));
    expect(Math.min(stream.length, file.length)).toBeGreaterThan(16 * 1024 * 1024);
    const rows = await rowsIn(arrow({ "a.arrows": stream, "b.arrow": file }), schema);
    const ids = Array.from({ length: 100_000 }, (_, id) => id);
    expect(rows.map(({ id }) => id)).toEqual([...ids, ...ids]);
  });

  it.each(["", "ARROW1", "id,name\n1,a\n"])("that is none is an error: %j", async (body) => {
    const options = arrow({ "a.arrow": body });
    expect(await failure(rowsIn(options, "id int"))).toMatchObject({ code: "FILE_MALFORMED" });
    expect(await failure((async () => (await source(options)).schema())())).toMatchObject({
      code: "FILE_MALFORMED",
    });
  });

  it("that is cut off is an error", async () => {
    const body = await arrowFile("id int", [[1]]);
    const error = await failure(rowsIn(arrow({ "a.arrow": body.subarray(0, -20) }), "id int"));
    expect(error).toMatchObject({ code: "FILE_MALFORMED" });
  });

  it.skipIf(!hasPython)(
    "of another library is read, compressed with zstd too, with dictionaries, views and other units",
    async () => {
      const folder = temporaryFolder();
      runPython(
        `
import sys, datetime as dt, pyarrow as pa, pyarrow.ipc as ipc
t = pa.table({"a": pa.array([1, None], pa.int64()), "d": pa.array(["x", None]).dictionary_encode(), "l": pa.array(["q", None], pa.large_string()),
  "v": pa.array(["view", None], pa.string_view()), "tod": pa.array([dt.time(1, 2, 3, 4), None], pa.time64("us")), "dur": pa.array([dt.timedelta(seconds=90), None], pa.duration("ms")), "ts": pa.array([1700000000123456789 // 1000 * 1000, None], pa.timestamp("ns", "UTC")), "bin": pa.array([b"ab", None], pa.large_binary()),
  "items": pa.array([["x", None], None], pa.list_(pa.large_string()))})
for name, compression in [("a", None), ("b", "zstd"), ("c", "lz4")]:
  with ipc.new_file(f"{sys.argv[1]}/{name}.arrow", t.schema, options=ipc.IpcWriteOptions(compression=compression)) as w: w.write_table(t)
print("null")`,
        [folder],
      );
      const options = { path: folder, format: "arrow" as const };
      const row = {
        a: 1,
        d: "x",
        l: "q",
        v: "view",
        tod: "01:02:03.000004",
        dur: "PT1M30S",
        ts: "2023-11-14T22:13:20.123456Z",
        bin: "YWI=",
        items: ["x", null],
      };
      const empty = Object.fromEntries(Object.keys(row).map((name) => [name, null]));
      const schema = await (await source(options)).schema();
      expect(await rowsIn({ ...options, pattern: "{a,b}.arrow" }, schema)).toEqual([row, empty, row, empty]);
      const error = await failure(rowsIn({ ...options, pattern: "c.arrow" }, schema));
      expect(error).toMatchObject({ code: "FILE_MALFORMED", message: expect.stringContaining("LZ4") });
    },
  );
});

describe("a file that says nothing of its schema", () => {
  it.each(["csv", "jsonl", "arrow", "parquet"] as const)("needs one: %s", async (format) => {
    const error = await failure((async () => (await source({ path: temporaryFolder(), format })).schema())());
    expect(error).toMatchObject({ code: "SCHEMA_REQUIRED", hint: expect.stringContaining(".schema(") });
  });
});
