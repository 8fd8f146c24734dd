import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { constants, gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import type { FilesOptions } from "../../../shared/connectors/files/index.ts";
import { failure, folderOf, rowsIn } from "./folder-of-files.ts";

type Body = string | Uint8Array;

const csv = (body: Body, options: Partial<FilesOptions> = {}, name = "a.csv") => ({
  path: folderOf({ [name]: body }),
  format: "csv" as const,
  ...options,
});
const jsonl = (body: Body, options: Partial<FilesOptions> = {}) => ({
  path: folderOf({ "a.jsonl": body }),
  format: "jsonl" as const,
  ...options,
});

const utf16le = (text: string): Buffer => Buffer.from(text, "utf16le");
const utf16be = (text: string): Buffer => Buffer.from(text, "utf16le").swap16();
const TEXT = 'id,name\n1,"Zoë €"\n2,😀\n';
const ROWS = [
  { id: 1, name: "Zoë €" },
  { id: 2, name: "😀" },
];

describe("the encoding of text files", () => {
  it.each([
    ["utf-16le", utf16le(TEXT)],
    ["utf-16le", utf16le(`\uFEFF${TEXT}`)],
    ["utf-16be", utf16be(TEXT)],
    ["UTF-16BE", utf16be(`\uFEFF${TEXT}`)],
    ["utf-16", utf16le(`\uFEFF${TEXT}`)],
    ["utf-16", utf16be(`\uFEFF${TEXT}`)],
    ["utf8", Buffer.from(TEXT)],
    ["gb18030", Buffer.from("id,name\n1,\x5a\x6f\x81\x30\x8a\x35 \x80\n", "latin1")],
  ])("A CSV file in %s is read with the option encoding", async (encoding, body) => {
    const found = await rowsIn(csv(body, { encoding }), "id int, name string");
    expect(found).toEqual(encoding === "gb18030" ? [{ id: 1, name: expect.any(String) }] : ROWS);
  });

  it("A file of JSON lines in UTF-16 is read with the option encoding", async () => {
    const body = utf16le('{"id":1,"name":"Zoë €"}\r\n{"id":2,"name":"😀"}\r\n');
    expect(await rowsIn(jsonl(body, { encoding: "utf-16le" }), "id int, name string")).toEqual(ROWS);
  });

  it("A file in UTF-16 that is larger than one piece keeps characters that two pieces share", async () => {
    const rows = Array.from({ length: 100_000 }, (_, i) => `${i},${"x".repeat(i % 3)}😀 é`);
    const body = Buffer.concat([utf16be(`id,name\n${rows.join("\n")}`)]);
    expect(body.length).toBeGreaterThan(2 * 1024 * 1024);
    const found = await rowsIn(csv(body, { encoding: "utf-16be" }), "id int, name string");
    expect(found.map(({ id, name }) => `${id},${name}`)).toEqual(rows);
  });

  it("The encoding latin1 is ISO-8859-1, and windows-1252 has other characters and five holes", async () => {
    const body = Buffer.from("name\nM\xfcller \x80\n", "latin1");
    expect(await rowsIn(csv(body, { encoding: "latin1" }), "name string")).toEqual([
      { name: "Müller \u0080" },
    ]);
    expect(await rowsIn(csv(body, { encoding: "windows-1252" }), "name string")).toEqual([
      { name: "Müller €" },
    ]);
    const hole = Buffer.from("name\na\n\x81\n", "latin1");
    const error = await failure(rowsIn(csv(hole, { encoding: "windows-1252" }), "name string"));
    expect(error).toMatchObject({
      code: "FILE_MALFORMED",
      message: expect.stringMatching(/: line 3 is not WINDOWS-1252$/),
      hint: expect.stringContaining('`encoding: "utf-8"`'),
    });
  });

  it.each([
    ["of UTF-16 with a mark", utf16le(`\uFEFF${TEXT}`), undefined, "utf-16le"],
    ["of UTF-16 with a mark", utf16be(`\uFEFF${TEXT}`), undefined, "utf-16be"],
    ["of UTF-16 without a mark", utf16le(TEXT), undefined, "utf-16le"],
    ["of UTF-16 without a mark", utf16be(TEXT), undefined, "utf-16be"],
    ["of the other UTF-16", utf16be(`\uFEFF${TEXT}`), "utf-16le", "utf-16be"],
    ["of UTF-16 in place of windows-1252", utf16le(`\uFEFF${TEXT}`), "windows-1252", "utf-16le"],
    ["of UTF-8 in place of latin1", `\uFEFF${TEXT}`, "latin1", "utf-8"],
    ["without a mark, which utf-16 needs", utf16be(TEXT), "utf-16", "utf-16be"],
    ["of windows-1252", Buffer.from("name\nM\xfcller\n", "latin1"), undefined, "windows-1252"],
  ])("A file %s is an error that names the encoding: %#", async (_what, body, encoding, named) => {
    const options = csv(body, encoding === undefined ? {} : { encoding });
    for (const header of [true, false]) {
      const error = await failure(rowsIn({ ...options, header }, "id string, name string"));
      expect(error).toMatchObject({ code: "FILE_MALFORMED", where: { path: `${options.path}/a.csv` } });
      expect(error.hint).toContain(`\`encoding: "${named}"\``);
    }
  });

  it("A byte order mark of UTF-8 is no part of the first name, also in quotes or as the only content", async () => {
    expect(await rowsIn(csv('\uFEFF"id"\n1\n'), "id int")).toEqual([{ id: 1 }]);
    expect(await rowsIn(csv("\uFEFF"), "id int")).toEqual([]);
    expect(await rowsIn(jsonl('\uFEFF{"id":1}\n'), "id int")).toEqual([{ id: 1 }]);
    expect(await failure(rowsIn(jsonl('{"id":1}\n\uFEFF'), "id int"))).toMatchObject({
      code: "FILE_MALFORMED",
    });
    expect(await failure(rowsIn(csv("id,name\n\uFEFF\uFEFF1,a\n"), "id int, name string"))).toMatchObject({
      code: "ROW_MISMATCH",
    });
  });

  it.each(["ascii", "x-user-defined", "utf-32", "replacement", "nonsense", ""])(
    "An encoding that cannot be read as it is named is refused before anything is planned: %j",
    async (encoding) => {
      expect(await failure(rowsIn(csv("", { encoding }), "id int"))).toMatchObject({
        code: "OPTIONS_INVALID",
      });
    },
  );

  it.each([
    [2, "\n"],
    [3, "\r\n"],
    [2, "\r"],
  ])("The line of a byte that is not UTF-8 counts lines of each kind: %#", async (line, end) => {
    const lines = Array.from({ length: line - 1 }, () => "id");
    const body = Buffer.concat([Buffer.from([...lines, ""].join(end)), Buffer.from([0xc3, 0x28, 0x0a])]);
    expect(await failure(rowsIn(csv(body, { header: false }), "id string"))).toMatchObject({
      message: expect.stringMatching(new RegExp(`: line ${line} is not UTF-8$`)),
    });
  });

  it.each([
    ["gzip", gzipSync(TEXT)],
    ["zstd", zstdCompressSync(TEXT)],
    ["zip", Buffer.from("PK\x03\x04............", "latin1")],
    ["xz", Buffer.from("\xfd7zXZ\x00......", "latin1")],
  ])(
    "A file compressed with %s whose name does not say so is an error, in each encoding",
    async (kind, body) => {
      for (const encoding of ["utf-8", "latin1"]) {
        const error = await failure(rowsIn(csv(body, { encoding, header: false }), "id string"));
        expect(error).toMatchObject({
          code: "FILE_MALFORMED",
          message: expect.stringContaining(`compressed with ${kind}`),
        });
      }
    },
  );

  it.each([
    ["A.CSV.GZ", gzipSync(TEXT)],
    ["a.csv.Gz", gzipSync(TEXT)],
    ["a.csv.ZST", zstdCompressSync(TEXT)],
  ])("A compressed file is known by the end of its name in any case: %s", async (name, body) => {
    expect(await rowsIn(csv(body, {}, name), "id int, name string")).toEqual(ROWS);
  });

  it.each(["a.csv.bz2", "a.ZIP", "a.csv.xz", "a.tar.gz", "a.tgz", "a.csv.br", "a.csv.lz4", "a.csv.Z"])(
    "A file of a compression that is not supported is refused by name before a batch is planned: %s",
    async (name) => {
      const error = await failure(rowsIn(csv(gzipSync(TEXT), {}, name), "id int, name string"));
      expect(error).toMatchObject({
        code: "FILE_UNREADABLE",
        message: expect.stringContaining(name),
        hint: expect.stringMatching(/`pattern`.*`ignoreUnreadable: true`/),
      });
    },
  );

  it.each([
    ["gz", gzipSync(Buffer.alloc(4096, "id,name\n"))],
    ["zst", zstdCompressSync(Buffer.alloc(4096, "id,name\n"))],
  ])(
    "A compressed file that is cut off anywhere is an error and never fewer rows: %s",
    async (end, whole) => {
      const files = Object.fromEntries(
        Array.from({ length: whole.length - 1 }, (_, i) => [`${i}.csv.${end}`, whole.subarray(0, i + 1)]),
      );
      const path = folderOf(files);
      for (const name of Object.keys(files)) {
        const options = { path, format: "csv" as const, header: false, pattern: name };
        const error = await failure(rowsIn(options, "a string, b string"));
        expect(error, name).toMatchObject({ code: "FILE_MALFORMED", where: { path: `${path}/${name}` } });
      }
    },
  );

  it("A zstd file whose content is not that of its checksum is an error, in each frame", async () => {
    const params = { [constants.ZSTD_c_checksumFlag]: 1 };
    const part = (text: string) => zstdCompressSync(text, { params });
    const skippable = Buffer.from("502a4d1803000000616263", "hex");
    const noise = randomBytes(300_000).toString("base64");
    const whole = Buffer.concat([part("id\n1\n"), skippable, part(""), part(`${noise}\n`)]);
    const path = folderOf({ "a.csv.zst": whole });
    const read = { path, format: "csv", header: false } as const;
    expect(await rowsIn(read, "id string")).toEqual([{ id: "id" }, { id: "1" }, { id: noise }]);
    // A literal byte of the first frame, and one in the middle of the last.
    for (const at of [whole.indexOf("id\n1"), whole.length - 100_000]) {
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      writeFileSync(join(path, "a.csv.zst"), damaged);
      expect(await failure(rowsIn(read, "id string"))).toMatchObject({ code: "FILE_MALFORMED" });
    }
  });
});
