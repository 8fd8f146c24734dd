import { readFileSync } from "node:fs";
import { join } from "node:path";
import { crc32, deflateRawSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type AvroCodec,
  BIGINT,
  COUNT,
  INT,
  LONG,
  listOf,
  mapOf,
  STRING,
} from "../../../shared/connectors/iceberg/format/avro/codec.ts";
import { readAvroFile, writeAvroFile } from "../../../shared/connectors/iceberg/format/avro/file.ts";
import { AvroOutput } from "../../../shared/connectors/iceberg/format/avro/output.ts";
import { record } from "../../../shared/connectors/iceberg/format/avro/record.ts";
import { decodeManifest } from "../../../shared/connectors/iceberg/format/manifest.ts";
import { decodeManifestList } from "../../../shared/connectors/iceberg/format/manifest-list.ts";
import type { Long } from "../../../shared/connectors/iceberg/format/types.ts";
import { MillraceError } from "../../../shared/contract/errors.ts";
import { ROOT } from "../../support/root.ts";

interface Row {
  readonly id: Long;
  readonly names: readonly string[];
}
const ROW = record<Row>("row", [
  { key: "id", id: 1, name: "id", codec: LONG },
  { key: "names", id: 2, name: "names", codec: listOf(STRING, 3) },
]);
const ROWS: readonly Row[] = [
  { id: 1, names: ["a", "ż"] },
  { id: -(2n ** 63n), names: [] },
];
const SYNC = new Uint8Array(16).fill(9);

interface Parts {
  readonly schema?: string;
  readonly codec?: string;
  readonly count?: Long;
  readonly size?: Long;
  readonly sync?: Uint8Array;
}

/** Returns a file with one block, made by hand. */
function fileOf(
  data: Uint8Array,
  { schema = JSON.stringify(ROW.json), codec, count = 1, ...more }: Parts = {},
) {
  const output = new AvroOutput();
  output.fixed(Buffer.from("Obj\u0001", "latin1"));
  output.long(codec === undefined ? 1 : 2);
  output.string("avro.schema");
  output.string(schema);
  if (codec !== undefined) {
    output.string("avro.codec");
    output.string(codec);
  }
  output.long(0);
  output.fixed(SYNC);
  output.long(count);
  output.long(more.size ?? data.length);
  output.fixed(data);
  output.fixed(more.sync ?? SYNC);
  return output.take();
}

const read = (bytes: Uint8Array, codec: AvroCodec<unknown> = ROW) =>
  readAvroFile(bytes, "s3://m.avro", () => codec);
const bytes = (...values: number[]) => Uint8Array.from(values);
const error = (code: string, text: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(text), where: { path: "s3://m.avro" } });
/** Nine bytes with a continuation, and the last. */
const LONGEST = (last: number) => [...new Array<number>(9).fill(0xff), last];
/** The row { id: 1, names: [] }. */
const DATA = bytes(2, 0);

describe("Avro files", () => {
  it.each([["null"], ["deflate"]] as const)("Rows come back as they were, with the codec %s", (codec) => {
    expect(read(writeAvroFile(ROW, ROWS, {}, codec))).toEqual(ROWS);
  });

  it("A file without rows has no rows", () => {
    expect(read(writeAvroFile(ROW, [], {}))).toEqual([]);
  });

  it("Metadata of the file is there for the reader", () => {
    const file = writeAvroFile(ROW, ROWS, { a: "ż" });
    readAvroFile(file, "", ({ metadata }) => {
      expect(metadata.get("a")).toBe("ż");
      return ROW;
    });
    expect.assertions(1);
  });

  it.each([
    ["deflate", deflateRawSync(DATA)],
    ["zstandard", zstdCompressSync(DATA)],
    // A literal of 2 bytes, and its CRC-32.
    ["snappy", Buffer.concat([bytes(2, 4), DATA, checksum(DATA)])],
  ])("A block with the codec %s is read", (codec, data) => {
    expect(read(fileOf(data, { codec }))).toEqual([{ id: 1, names: [] }]);
  });

  it("All integers of 64 bits come back as they were", () => {
    const any = fc.oneof(
      fc.maxSafeInteger(),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      fc.integer({ min: 0, max: 63 }).map((bits) => 2n ** BigInt(bits) - 1n),
    );
    fc.assert(
      fc.property(any, (value) => {
        const data = new AvroOutput();
        data.long(value);
        const file = fileOf(data.take(), { schema: '"long"' });
        expect(read(file, BIGINT)).toEqual([BigInt(value)]);
        const long = Number.isSafeInteger(Number(value)) ? Number(value) : value;
        expect(read(file, LONG)).toEqual([Object.is(long, -0) ? 0 : long]);
      }),
    );
  });

  it("An array whose blocks have negative counts and sizes is read", () => {
    const list = listOf(INT, 1);
    const schema = JSON.stringify(list.json);
    expect(read(fileOf(bytes(3, 4, 2, 4, 2, 6, 0), { schema }), list)).toEqual([[1, 2, 3]]);
    expect(() => read(fileOf(bytes(3, 6, 2, 4, 0), { schema }), list)).toThrow(
      error("AVRO_DAMAGED", /block says 3/),
    );
  });

  it.each<[string, Uint8Array, Parts, RegExp]>([
    ["a block longer than the file", DATA, { size: 5000 }, /5000 bytes should follow/],
    ["a negative length", DATA, { size: -1 }, /negative/],
    ["a length beyond 2^53", DATA, { size: 2n ** 60n }, /beyond 2\^53/],
    ["a count of 2^52", DATA, { count: 2 ** 52 }, /count of 4503599627370496/],
    ["a count of 2^60", DATA, { count: 2n ** 60n }, /beyond 2\^53/],
    ["a negative count", DATA, { count: -1 }, /count of -1/],
    ["a wrong sync marker", DATA, { sync: new Uint8Array(16) }, /sync marker/],
    ["bytes behind the last row", bytes(2, 0, 0), {}, /1 bytes follow/],
    ["a row that is cut", bytes(2, 2, 8), {}, /4 bytes should follow, and only 0/],
    ["an array of 2^40 items", bytes(2, 0xfe, ...LONGEST(0).slice(0, 4), 0x7f), {}, /count of/],
    ["a long of more than 64 bits", bytes(...LONGEST(2), 0), {}, /64 bits/],
    ["a long without an end", new Uint8Array(100).fill(0xff), {}, /64 bits/],
    ["a string that is not UTF-8", bytes(2, 2, 2, 0xc3, 0), {}, /not UTF-8/],
    ["damaged deflate data", bytes(1, 2, 3), { codec: "deflate" }, /cannot be decompressed/],
    ["damaged zstandard data", bytes(1, 2, 3), { codec: "zstandard" }, /cannot be decompressed/],
    ["a short block of Snappy", bytes(1), { codec: "snappy" }, /snappy/],
    ["a wrong checksum", bytes(2, 4, 2, 0, 0, 0, 0, 0), { codec: "snappy" }, /checksum/],
    [
      "a block of Snappy that says 2^31 bytes",
      bytes(255, 255, 255, 255, 7, 0, 0, 0, 0),
      { codec: "snappy" },
      /./,
    ],
    ["a schema that is not JSON", DATA, { schema: "{" }, /not JSON/],
    ["a schema without fields", DATA, { schema: '{"type":"record","name":"r"}' }, /list of fields/],
  ])("%s is an error that names the file and the place", (_, data, parts, text) => {
    const started = performance.now();
    expect(() => read(fileOf(data, parts))).toThrow(
      expect.objectContaining({
        code: expect.stringMatching(/^AVRO_/),
        message: expect.stringMatching(text),
        where: { path: "s3://m.avro" },
      }),
    );
    expect(performance.now() - started).toBeLessThan(1000);
  });

  it.each<[string, Parts, RegExp]>([
    ["an unknown codec", { codec: "bzip2" }, /"bzip2"/],
    ["a type that contains itself", { schema: recursive() }, /contains itself/],
    ["a schema of a few lines with millions of fields", { schema: exponential() }, /more than/],
  ])("%s is not supported", (_, parts, text) => {
    expect(() => read(fileOf(DATA, parts))).toThrow(error("AVRO_NOT_SUPPORTED", text));
  });

  it("A block that decompresses to more than the limit is refused before it fills the memory", () => {
    const data = deflateRawSync(Buffer.alloc(140 * 1024 * 1024));
    expect(() => read(fileOf(data, { codec: "deflate" }))).toThrow(
      error("AVRO_NOT_SUPPORTED", /134217728 bytes/),
    );
  });

  it("A map that has a key twice is an error, as pairs and with text keys", () => {
    const map = mapOf(1, 2, INT);
    const pairs = { schema: JSON.stringify(map.json) };
    expect(read(fileOf(bytes(4, 2, 4, 4, 6, 0), pairs), map)).toEqual([
      new Map([
        [1, 2],
        [2, 3],
      ]),
    ]);
    expect(() => read(fileOf(bytes(4, 2, 4, 2, 6, 0), pairs), map)).toThrow(
      error("MANIFEST_INVALID", /key 1 twice/),
    );
    const texts = { schema: '{"type":"map","values":"int"}' };
    expect(() => read(fileOf(bytes(4, 2, 0x31, 4, 2, 0x31, 6, 0), texts), map)).toThrow(
      error("MANIFEST_INVALID", /key 1 twice/),
    );
    expect(() => read(fileOf(bytes(2, 2, 0x61, 4, 0), texts), map)).toThrow(
      error("AVRO_DAMAGED", /no field id/),
    );
  });

  it("A type that a schema defines twice is read if both definitions are equal", () => {
    const id = (name: string, type: string) =>
      `{"name":"${name}","type":{"type":"fixed","name":"f","size":${type}},"field-id":9}`;
    const of = (...fields: string[]) => `{"type":"record","name":"row","fields":[${fields.join()}]}`;
    const codec = record<Partial<Row>>("row", [
      { key: "id", id: 1, name: "id", codec: LONG, optional: true },
    ]);
    expect(read(fileOf(DATA, { schema: of(id("a", "1"), id("b", "1")) }), codec)).toEqual([{}]);
    expect(() => read(fileOf(DATA, { schema: of(id("a", "1"), id("b", "2")) }), codec)).toThrow(
      error("AVRO_DAMAGED", /two definitions/),
    );
  });

  it("A field of another type, and a required field that is missing or null, are errors that name it", () => {
    const of = (type: string) =>
      `{"type":"record","name":"row","fields":[{"name":"id","type":${type},"field-id":1}]}`;
    const one = record<{ readonly id: number }>("row", [{ key: "id", id: 1, name: "id", codec: COUNT }]);
    expect(() => read(fileOf(DATA, { schema: of('"string"') }), one)).toThrow(
      error("MANIFEST_INVALID", /id: .*string/),
    );
    expect(() => read(fileOf(bytes(0), { schema: of('["null","long"]') }), one)).toThrow(
      error("MANIFEST_INVALID", /id is null, at byte 1 of/),
    );
    expect(() =>
      read(fileOf(DATA), record<{ readonly x: number }>("row", [{ key: "x", id: 9, name: "x", codec: INT }])),
    ).toThrow(error("MANIFEST_INVALID", /x \(9\) is missing/));
  });
});

describe("Damaged manifests", () => {
  const fixture = (name: string) => readFileSync(join(ROOT, "test/fixtures/iceberg", name));
  const listed = decodeManifestList(fixture("java-v2-list.avro"))[1];
  if (listed === undefined) throw new Error("the fixture has no second manifest");
  const files = ["fastavro-names.avro", "fastavro-shuffled.avro", "fastavro-snappy.avro", "duckdb-list.avro"];

  /** Reads a file as both kinds, and throws if an error is not one of Millrace's. */
  function tryToRead(damaged: Uint8Array): void {
    for (const decode of [
      () => decodeManifestList(damaged),
      () => decodeManifest(damaged, listed as never),
    ]) {
      try {
        decode();
      } catch (thrown) {
        if (!MillraceError.is(thrown)) throw thrown;
      }
    }
  }

  it.each(files)("%s, cut at any byte, is an error or has fewer rows, and never hangs", (name) => {
    const whole = fixture(name);
    for (let length = 0; length < whole.length; length += 23) tryToRead(whole.subarray(0, length));
  });

  it.each(files)("%s, with changed bytes, never hangs and never throws another kind of error", (name) => {
    const whole = fixture(name);
    const change = fc.tuple(fc.nat(whole.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (changes) => {
        const damaged = Uint8Array.from(whole);
        for (const [at, value] of changes) damaged[at] = value;
        tryToRead(damaged);
      }),
      { numRuns: 150 },
    );
  });

  it("Any bytes are an error of Millrace or a file", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (data) => {
        tryToRead(data);
        tryToRead(Buffer.concat([Buffer.from("Obj\u0001", "latin1"), data]));
        tryToRead(fileOf(data, { count: 3 }));
      }),
      { numRuns: 500 },
    );
  });
});

/** Returns the CRC-32 that follows a block of Snappy. */
function checksum(data: Uint8Array): Buffer {
  const written = Buffer.alloc(4);
  written.writeUInt32BE(crc32(data));
  return written;
}

function recursive(): string {
  return '{"type":"record","name":"r","fields":[{"name":"a","type":["null","r"]}]}';
}

/** Each record has two fields of the type before it. */
function exponential(): string {
  const fields = Array.from({ length: 40 }, (_, i) => {
    const inner = (name: string) => ({ name, type: i === 0 ? "null" : `r${i - 1}` });
    return { name: `f${i}`, type: { type: "record", name: `r${i}`, fields: [inner("a"), inner("b")] } };
  });
  return JSON.stringify({ type: "record", name: "row", fields });
}
