import { describe, expect, it } from "vitest";
import type { FilesOptions } from "../../../shared/connectors/files/index.ts";
import { failure, folderOf, rowsIn } from "./folder-of-files.ts";

const csv = (body: string, options: Partial<FilesOptions> = {}) => ({
  path: folderOf({ "a.csv": body }),
  format: "csv" as const,
  ...options,
});
const SCHEMA = "id int, name string";
const TWO = [
  { id: 1, name: "a" },
  { id: 2, name: "b" },
];

describe("the line breaks of text files", () => {
  it.each(["\n", "\r\n", "\r"])(
    "A CSV file whose lines end with %j has all rows, with and without an end",
    async (end) => {
      for (const last of [end, "", end + end]) {
        const body = ["id,name", "1,a", "2,b"].join(end) + last;
        expect(await rowsIn(csv(body), SCHEMA)).toEqual(TWO);
        const bare = ["1,a", "2,b"].join(end) + last;
        expect(await rowsIn(csv(bare, { header: false }), SCHEMA)).toEqual(TWO);
        expect(await rowsIn(csv(`# it's "odd${end}${body}`, { comment: "#" }), SCHEMA)).toEqual(TWO);
      }
    },
  );

  it.each(["\n", "\r\n", "\r"])(
    "A CSV value in quotes keeps each kind of line break in a file whose lines end with %j",
    async (end) => {
      const name = 'a\rb\nc\r\nd""';
      const body = `"id","na\rme"${end}1,"${name}"${end}2,x${end}`;
      expect(await rowsIn(csv(body), "id int, `na\rme` string")).toEqual([
        { id: 1, "na\rme": name.replace('""', '"') },
        { id: 2, "na\rme": "x" },
      ]);
    },
  );

  it("A CSV file may mix \\n and \\r\\n, and with an option all three", async () => {
    expect(await rowsIn(csv("id,name\r\n1,a\n2,b\r\n"), SCHEMA)).toEqual(TWO);
    expect(await rowsIn(csv("id,name\r1,a\n2,b\r\n", { lineBreak: "any" }), SCHEMA)).toEqual(TWO);
  });

  it.each([
    ["id,name\n1,a\r2,b\n", 0, "\\n"],
    ["id,name\n1,a\n2,b\r\r\n", 1, "\\n"],
    ["id,name\r\n1,a\r2,b\r\n", 0, "\\n"],
    ["id,name\r1,a\n2,b\r", 0, "\\r"],
    ["id,name\r1,a\r\n2,b\r\n", 1, "\\r"],
  ])("A CSV file with another line break outside of quotes is an error: %j", async (body, row, kept) => {
    const error = await failure(rowsIn(csv(body), SCHEMA));
    expect(error).toMatchObject({
      code: "FILE_MALFORMED",
      message: expect.stringMatching(/line \d: a (?:carriage return|line feed) \(\\[rn]\) outside of quotes/),
      where: { row: row + 1 },
    });
    expect(error.hint).toContain('`lineBreak: "any"`');
    expect(error.hint).toContain(`\`lineBreak: "${kept}"\``);
  });

  it("A CSV file keeps a line break outside of quotes if an option says which one ends a line", async () => {
    expect(await rowsIn(csv("id,name\n1,a\r\n2,b\n", { lineBreak: "\n" }), SCHEMA)).toEqual([
      { id: 1, name: "a\r" },
      { id: 2, name: "b" },
    ]);
    expect(await rowsIn(csv("id,name\r\n1,a\nb\r\n", { lineBreak: "\r\n" }), SCHEMA)).toEqual([
      { id: 1, name: "a\nb" },
    ]);
    const swallowed = await failure(rowsIn(csv("id,name\n1,a\n2,b\n", { lineBreak: "\r\n" }), SCHEMA));
    expect(swallowed).toMatchObject({ code: "FILE_MALFORMED", hint: expect.stringContaining("`lineBreak") });
  });

  it("A CSV file of lines with \\r that is larger than a piece has its rows, also where a piece ends", async () => {
    const rows = Array.from({ length: 200_000 }, (_, i) => `${i},${"x".repeat(i % 7)}`);
    const found = await rowsIn(csv(`id,name\r${rows.join("\r")}`), SCHEMA);
    expect(found.map(({ id, name }) => `${id},${name ?? ""}`)).toEqual(rows);
  });

  it("A file of JSON lines may end its lines with \\r, \\n or \\r\\n", async () => {
    for (const end of ["\r", "\n", "\r\n"]) {
      const body = ['{"id":1,"name":"a"}', '{"id":2,"name":"b"}', ""].join(end);
      const options = { path: folderOf({ "a.jsonl": body }), format: "jsonl" as const };
      expect(await rowsIn(options, SCHEMA)).toEqual(TWO);
    }
  });

  it("A line of JSON lines that has only other spaces than JSON's is an error", async () => {
    const options = { path: folderOf({ "a.jsonl": '{"id":1}\n \t\n\u00a0\n' }), format: "jsonl" as const };
    expect(await failure(rowsIn(options, "id int"))).toMatchObject({
      code: "FILE_MALFORMED",
      message: expect.stringContaining("line 3 is not JSON"),
    });
  });
});

describe("lines of a CSV file that may be no rows", () => {
  it("A CSV comment is a whole line, and not the end of one", async () => {
    const body = "# first\nid,name\n#1,x\n1,a#b\n2,b\n";
    expect(await rowsIn(csv(body, { comment: "#" }), SCHEMA)).toEqual([
      { id: 1, name: "a#b" },
      { id: 2, name: "b" },
    ]);
    expect(await rowsIn(csv('name\n"#a"\n', { comment: "#" }), "name string")).toEqual([{ name: "#a" }]);
    expect(await rowsIn(csv("//x\nid\n//y\n1", { comment: "//" }), "id int")).toEqual([{ id: 1 }]);
    expect(await failure(rowsIn(csv("# x\nid\n1\n"), "id int"))).toMatchObject({ code: "FILE_MALFORMED" });
  });

  it("A CSV header that comes again is an error, a row, or left out, as an option says", async () => {
    const body = "id,name\n1,a\nid,name\n2,b\n";
    const names = "id string, name string";
    const error = await failure(rowsIn(csv(body), names));
    expect(error).toMatchObject({
      code: "FILE_MALFORMED",
      message: expect.stringContaining("line 3 is the header again"),
      where: { row: 2 },
      hint: expect.stringMatching(/`repeatedHeader: "skip"`.*`repeatedHeader: "row"`/),
    });
    expect(await rowsIn(csv(body, { repeatedHeader: "skip" }), SCHEMA)).toEqual(TWO);
    expect(await rowsIn(csv(body, { repeatedHeader: "row" }), names)).toHaveLength(3);
    expect(await rowsIn(csv("id,name\nid,x\n"), names)).toEqual([{ id: "id", name: "x" }]);
  });

  it("An empty line between the rows of one column is an error, a row, or left out, as an option says", async () => {
    const error = await failure(rowsIn(csv("name\na\n\nb\n"), "name string"));
    expect(error).toMatchObject({
      code: "FILE_MALFORMED",
      where: { row: 2 },
      hint: expect.stringMatching(/`emptyLines: "null"`.*`emptyLines: "skip"`/),
    });
    const rows = (emptyLines: "null" | "skip") =>
      rowsIn(csv("name\na\n\nb\n", { emptyLines }), "name string");
    expect(await rows("null")).toEqual([{ name: "a" }, { name: null }, { name: "b" }]);
    expect(await rows("skip")).toEqual([{ name: "a" }, { name: "b" }]);
    expect(await rowsIn(csv("\n\nname\na\n\n\n"), "name string")).toEqual([{ name: "a" }]);
    expect(await rowsIn(csv("id,name\n\n1,a\n\n2,b\n"), SCHEMA)).toEqual(TWO);
  });

  it.each([
    ["id,name\n1\n", "1, not 2"],
    ["id,name\n1,a,\n", "3, not 2"],
    ["id,name,\n1,a\n", "2, not 3"],
  ])("A CSV row with too few or too many fields is an error with both counts: %j", async (body, counts) => {
    expect(await failure(rowsIn(csv(body), SCHEMA))).toMatchObject({
      code: "FILE_MALFORMED",
      message: expect.stringContaining(`line 2: it has not as many fields as the first one: ${counts}`),
    });
  });

  it("A CSV file may have a delimiter of several characters, and quotes that are plain text", async () => {
    expect(await rowsIn(csv("id||name\n1||a|b\n2||'x'\n", { delimiter: "||" }), SCHEMA)).toEqual([
      { id: 1, name: "a|b" },
      { id: 2, name: "'x'" },
    ]);
    const plain = csv('id\tname\n1\t"a\n2\t5" disk\n', { delimiter: "\t", quote: "" });
    expect(await rowsIn(plain, SCHEMA)).toEqual([
      { id: 1, name: '"a' },
      { id: 2, name: '5" disk' },
    ]);
    for (const delimiter of ["", "\n", "a\r"]) {
      expect(await failure(rowsIn(csv("", { delimiter }), SCHEMA))).toMatchObject({
        code: "OPTIONS_INVALID",
      });
    }
  });

  it("CSV files whose headers have another order, or other names in addition, are read by name", async () => {
    const files = { "a.csv": "id,name\n1,a\n", "b.csv": 'name,"",x.y,id,Id\nb,_,_,2,7\n' };
    expect(await rowsIn({ path: folderOf(files), format: "csv" }, SCHEMA)).toEqual(TWO);
  });

  it("A CSV column whose name has dots, spaces or quotes is read by that name", async () => {
    const body = 'a.b, c ,"d ""e""",f\n1,2,3,4\n';
    expect(await rowsIn(csv(body), 'f int, `a.b` int, ` c ` int, `d "e"` int')).toEqual([
      { f: 4, "a.b": 1, " c ": 2, 'd "e"': 3 },
    ]);
  });
});
