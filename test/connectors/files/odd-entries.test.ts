import { mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { FilesOptions } from "../../../shared/connectors/files/index.ts";
import { DirectoryStore } from "../../../shared/platform/embedded/directory-store.ts";
import { failure as errorOf, folderOf, rowsIn } from "../files-formats/folder-of-files.ts";
import { DAY, Desk, failure, MINUTE, NOW, START } from "./folder-desk.ts";

const ONE = { "a.csv": "id\n1\n" };
const ids = async (path: string, options: Partial<FilesOptions> = {}) =>
  (await rowsIn({ path, format: "csv", ...options }, "id int")).map(({ id }) => id);

/** Puts an entry that is no file beside `a.csv`. Returns what takes it away. */
type Odd = (folder: string) => unknown;
const listen = async (folder: string) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(join(folder, "odd.csv"), resolve));
  return () => server.close();
};
const latin1Name = (folder: string, name: string) =>
  Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(name, "latin1")]);

describe("entries of a folder that cannot be read", () => {
  it.each<[string, Odd, string, string]>([
    ["symbolic link to a file", (f) => symlinkSync(join(f, "a.csv"), join(f, "odd.csv")), "odd.csv", "odd"],
    ["symbolic link to a folder", (f) => symlinkSync("/", join(f, "odd")), "odd", "odd"],
    ["symbolic link to nothing", (f) => symlinkSync("none", join(f, "odd.csv")), "odd.csv", "odd"],
    ["socket", listen, "odd.csv", "a socket"],
    ["name with a backslash", (f) => writeFileSync(join(f, "in\\odd.csv"), "id\n2\n"), "odd", "a backslash"],
    ["name that is not UTF-8", (f) => writeFileSync(latin1Name(f, "odd\xe9.csv"), ""), "odd", "not UTF-8"],
    ["folder whose name is not UTF-8", (f) => mkdirSync(latin1Name(f, "odd\xe9")), "odd", "not UTF-8"],
  ])("A %s is an error that names it, and left out by an option", async (_what, make, name, problem) => {
    const path = folderOf(ONE);
    const close = await make(path);
    const error = await errorOf(ids(path));
    expect(error).toMatchObject({ code: "FILE_UNREADABLE", message: expect.stringContaining(name) });
    expect(error.message).toContain(problem);
    expect(error.hint).toContain("`ignoreUnreadable: true`");
    expect(await ids(path, { ignoreUnreadable: true })).toEqual([1]);
    if (typeof close === "function") close();
  });

  it("A symbolic link that the pattern excludes, or whose name is hidden, is no error", async () => {
    const path = folderOf(ONE);
    symlinkSync("a.csv", join(path, "odd.txt"));
    symlinkSync("a.csv", join(path, "_latest"));
    symlinkSync("/", join(path, ".data"));
    expect(await ids(path, { pattern: "*.csv" })).toEqual([1]);
    expect((await errorOf(ids(path))).message).toContain("odd.txt");
  });

  it("A folder that is deleted while its parent is listed is no error", async () => {
    const path = folderOf({ ...ONE, "b/c/d.csv": "id\n2\n", "e.csv": "id\n3\n" });
    const list = new DirectoryStore(path).list("");
    const keys = (await Array.fromAsync(list)).map(({ key }) => key);
    expect(keys).toEqual(["a.csv", "b/c/d.csv", "e.csv"]);
    rmSync(join(path, "b"), { recursive: true });
    expect(await ids(path)).toEqual([1, 3]);
  });

  it("A path that is a file, and one below a file, is a missing folder", async () => {
    const path = folderOf(ONE);
    for (const wrong of ["a.csv", "a.csv/b", "none"]) {
      const error = await errorOf(ids(join(path, wrong)));
      expect(error).toMatchObject({ code: "FOLDER_MISSING", where: { path: join(path, wrong) } });
      expect(await ids(join(path, wrong), { ignoreMissingPath: true })).toEqual([]);
    }
  });
});

describe("names of files", () => {
  it.each([
    "line\nbreak.csv",
    "tab\t.csv",
    " both ends ",
    "a#b?c%20d&e=f.csv",
    "quo\"te's.csv",
    "cafe\u0301.csv",
    "caf\u00e9.csv",
    "\uFFFD.csv",
    "\u{1F600}.csv",
    "-rf.csv",
    "~.csv",
    "[a].csv",
    "\u202egnp.csv",
    "CON.csv",
  ])("A file whose name is %j is read", async (name) => {
    const path = folderOf({ [name]: "id\n7\n", "b.csv": "id\n8\n" });
    expect((await ids(path)).sort()).toEqual([7, 8]);
  });

  it("Names that differ only in their Unicode form or case are two files", async () => {
    const path = folderOf({
      "\u00e9.csv": "id\n1\n",
      "e\u0301.csv": "id\n2\n",
      "E.csv": "id\n3\n",
      "e.csv": "id\n4\n",
    });
    expect((await ids(path)).sort()).toEqual([1, 2, 3, 4]);
  });

  it("A hidden name is read if the pattern names it, and only then", async () => {
    const files = { ...ONE, "_b.csv": "id\n2\n", "c/.d.csv": "id\n3\n", "_e/f.csv": "id\n4\n" };
    const path = folderOf(files);
    expect(await ids(path)).toEqual([1]);
    expect(await ids(path, { pattern: "**" })).toEqual([1]);
    expect(await ids(path, { pattern: "_*.csv" })).toEqual([2]);
    expect((await ids(path, { pattern: "{a,_b}.csv" })).sort()).toEqual([1, 2]);
    expect(await ids(path, { pattern: "c/.*" })).toEqual([3]);
    expect(await ids(path, { pattern: "_e/*.csv" })).toEqual([4]);
  });

  it.each(["a//b.csv", "/b.csv", "a/../b.csv", "a/./b.csv", "a\\b.csv"])(
    "A key of S3 that cannot be asked for is an error before a batch is planned: %j",
    async (key) => {
      const desk = new Desk();
      desk.put("a");
      desk.put(key);
      expect(await failure(desk.plan(START))).toMatchObject({
        code: "FILE_UNREADABLE",
        message: expect.stringContaining(JSON.stringify(key)),
      });
      const lenient = new Desk({ ignoreUnreadable: true });
      lenient.put("a");
      lenient.put(key);
      expect((await lenient.plan(START))[1]).toEqual(["a"]);
    },
  );
});

describe("a place without files", () => {
  it("A prefix of S3 without objects is an error until the first file was read", async () => {
    const desk = new Desk({}, "s3://bucket/prefix");
    expect(await failure(desk.plan(START))).toMatchObject({
      code: "FOLDER_MISSING",
      where: { path: "s3://bucket/prefix" },
      hint: expect.stringMatching(/^(?!.*mkdir).*`ignoreMissingPath: true`/),
    });
    const patient = new Desk({ ignoreMissingPath: true }, "s3://bucket/prefix");
    expect((await patient.plan(START))[1]).toEqual([]);
    desk.put("folder/");
    expect((await desk.plan(START))[1]).toEqual([]);
    desk.put("a");
    const [offset] = await desk.plan(START);
    desk.folder.objects.clear();
    expect((await desk.plan(offset))[1]).toEqual([]);
  });

  it("A folder that goes away after files were read is an error, and not a folder without files", async () => {
    const path = folderOf(ONE);
    expect(await ids(path)).toEqual([1]);
    renameSync(path, `${path}-away`);
    expect(await errorOf(ids(path))).toMatchObject({ code: "FOLDER_MISSING" });
    renameSync(`${path}-away`, path);
  });
});

describe("times of files", () => {
  it.each(["time", "key"] as const)(
    "A file whose time is more than a day ahead is an error and holds nothing up in silence, by %s",
    async (order) => {
      const desk = new Desk({ order });
      desk.put("a", NOW + DAY + 1);
      desk.put("b", NOW - MINUTE);
      const error = await failure(desk.plan(START));
      expect(error).toMatchObject({ code: "FILE_UNREADABLE", where: { path: "memory:/a" } });
      expect(error.message).toContain("in the future");
      expect(error.hint).toContain("`touch 'memory:/a'`");
      desk.put("a", NOW + DAY);
      expect((await desk.plan(START))[1]).toEqual(order === "time" ? ["b"] : []);
    },
  );

  it("A batch reads files of any time, because it waits for none", async () => {
    const path = folderOf(ONE);
    utimesSync(join(path, "a.csv"), 4e9, 4e9);
    expect(await ids(path)).toEqual([1]);
  });
});
