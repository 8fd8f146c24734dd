import { tableFromArrays, tableToIPC } from "apache-arrow";
import { describe, expect, it } from "vitest";
import type { FilesOptions } from "../../../shared/connectors/files/index.ts";
import { failure as errorOf, folderOf, rowsIn } from "../files-formats/folder-of-files.ts";
import { madeFile } from "../files-parquet/made-file.ts";
import { DAY, Desk, failure, NOW, START } from "./folder-desk.ts";

const csv = (files: Readonly<Record<string, string>>, options: Partial<FilesOptions> = {}) => ({
  path: folderOf(files),
  format: "csv" as const,
  ...options,
});

describe("folders such as day=2026-11-21", () => {
  it("A folder's value is a column of its type, in its place, for each file", async () => {
    const files = {
      "day=2026-11-21/n=7/a.csv": "name,id\nx,1\ny,2\n",
      "day=2026-11-22/n=__HIVE_DEFAULT_PARTITION__/a.csv": "id,name\n3,z\n",
    };
    expect(await rowsIn(csv(files), "id int, day date, name string, n bigint")).toEqual([
      { id: 1, day: "2026-11-21", name: "x", n: 7 },
      { id: 2, day: "2026-11-21", name: "y", n: 7 },
      { id: 3, day: "2026-11-22", name: "z", n: null },
    ]);
  });

  it("A folder's value is a column of JSON lines and of Arrow files, too", async () => {
    const jsonl = { path: folderOf({ "p=a/x.jsonl": '{"id":1}\n{}' }), format: "jsonl" as const };
    expect(await rowsIn(jsonl, "p string, id int")).toEqual([
      { p: "a", id: 1 },
      { p: "a", id: null },
    ]);
    const bytes = tableToIPC(tableFromArrays({ id: new Int32Array([1, 2]) }), "file");
    const arrow = { path: folderOf({ "p=7/q=b/x.arrow": bytes }), format: "arrow" as const };
    expect(await rowsIn(arrow, "p int, id int, q string")).toEqual([
      { p: 7, id: 1, q: "b" },
      { p: 7, id: 2, q: "b" },
    ]);
  });

  it("A folder's name and value are decoded as Hive and Spark encode them", async () => {
    const files = { "a%3Db=1%3A2%2F3 %25/x.csv": "id\n1\n" };
    expect(await rowsIn(csv(files), "id int, `a=b` string")).toEqual([{ id: 1, "a=b": "1:2/3 %" }]);
  });

  it("A name with = is no column if it is that of the file, or has nothing before it", async () => {
    const files = { "=a/b=c.csv": "id\n1\n" };
    expect(await rowsIn(csv(files), "id int")).toEqual([{ id: 1 }]);
  });

  it.each([
    ["day=2026-11-21/a.csv", "id int", /the folder "day=" .* is no column of the schema/],
    ["n=1/n=2/a.csv", "id int, n int", /has the folder "n=" twice/],
    ["n=5%/a.csv", "id int, n string", /has a "%" that is no escape/],
  ])(
    "A folder that cannot be a column is an error before a batch is planned: %s",
    async (name, ddl, message) => {
      const options = csv({ [name]: "id\n1\n" });
      expect(await errorOf(rowsIn(options, ddl))).toMatchObject({
        code: "FOLDER_COLUMN_INVALID",
        message: expect.stringMatching(message),
        hint: expect.stringContaining('`folderColumns: "ignore"`'),
      });
      const ignoring = { ...options, folderColumns: "ignore" as const };
      expect(await rowsIn(ignoring, "id int")).toEqual([{ id: 1 }]);
      const desk = new Desk();
      desk.put(name, NOW - DAY);
      expect(await failure(desk.plan(START))).toMatchObject({ code: "FOLDER_COLUMN_INVALID" });
    },
  );

  it("A folder's value that does not fit its type is an error with the file and the field", async () => {
    expect(await errorOf(rowsIn(csv({ "n=x/a.csv": "id\n1\n" }), "id int, n int"))).toMatchObject({
      code: "ROW_MISMATCH",
      where: { path: expect.stringMatching(/n=x\/a\.csv$/), field: "n", row: 1 },
    });
  });

  it("A column that is in the file and in the name of its folder is an error", async () => {
    const arrow = tableToIPC(tableFromArrays({ id: Int32Array.of(1), n: Int32Array.of(2) }), "file");
    const parquet = madeFile([
      { name: "id", values: [1n] },
      { name: "n", values: [2n] },
    ]);
    for (const options of [
      csv({ "n=1/a.csv": "id,n\n1,2\n" }),
      { path: folderOf({ "n=1/a.jsonl": '{"id":1,"n":2}' }), format: "jsonl" as const },
      { path: folderOf({ "n=1/a.arrow": arrow }), format: "arrow" as const },
      { path: folderOf({ "n=1/a.parquet": parquet }), format: "parquet" as const },
    ]) {
      const error = await errorOf(rowsIn(options, "id bigint, n bigint"));
      expect(error).toMatchObject({
        code: "FILE_MALFORMED",
        message: expect.stringContaining('it has the columns "n", and its folders name them, too'),
      });
      const ignoring = { ...options, folderColumns: "ignore" as const };
      expect(await rowsIn(ignoring, "id bigint, n bigint")).toEqual([{ id: 1, n: 2 }]);
    }
  });
});
