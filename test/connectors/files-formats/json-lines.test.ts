import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { causeOf } from "../../../shared/contract/errors.ts";
import { ALL_TYPES, ALL_VALUES, NULLS } from "./all-types.ts";
import { failure, folderOf, rowsIn } from "./folder-of-files.ts";

describe("a file of JSON lines", () => {
  const jsonl = (files: Readonly<Record<string, string | Uint8Array>>) => ({
    path: folderOf(files),
    format: "jsonl" as const,
  });

  it("A file of JSON lines has values of every type, with all digits, and null for missing ones", async () => {
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

  it("A file of JSON lines reads an integer of any length into a double", async () => {
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
  ])("The error of a malformed file of JSON lines has its name and line: %j", async (body, problem) => {
    const options = jsonl({ "a.jsonl": body });
    const error = await failure(rowsIn(options, "id int"));
    expect(error).toMatchObject({ code: "FILE_MALFORMED", where: { path: join(options.path, "a.jsonl") } });
    expect(error.message).toContain(problem);
    // The cause has no stack, because it would be the stack of the parser.
    expect(causeOf(error) ?? "").not.toContain("\n");
  });

  it("A first JSON record with a column under another name is an error, while a missing column is null", async () => {
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
  ])(
    "A file of JSON lines may be compressed in any number of parts, but not cut off: %s",
    async (end, compress) => {
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
    },
  );
});
