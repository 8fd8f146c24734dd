import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseJson, stringifyJson } from "../../../shared/connectors/iceberg/format/json.ts";
import {
  currentSchema,
  currentSpec,
  headSnapshot,
  metadataJson,
  newMetadata,
  parseMetadata,
  schemaById,
  specById,
} from "../../../shared/connectors/iceberg/format/metadata.ts";
import { MillraceError } from "../../../shared/contract/errors.ts";

const ID = 9007199254740993n;
const SCHEMA = {
  ...{ type: "struct", "schema-id": 0 },
  fields: [
    { id: 1, name: "id", required: true, type: "long" },
    { id: 2, name: "price", required: false, type: "decimal(9,2)" },
    {
      ...{ id: 3, name: "tags", required: false },
      type: { type: "list", "element-id": 4, element: "string", "element-required": false },
    },
  ],
};
const SNAPSHOT = {
  ...{ "snapshot-id": ID, "sequence-number": 1, "timestamp-ms": 1000, "schema-id": 0 },
  ...{ "manifest-list": "s3://lake/list.avro", summary: { operation: "append" } },
};
/** Metadata with one snapshot, as a file has it. */
const FILE: Readonly<Record<string, unknown>> = {
  ...{ "format-version": 2, "table-uuid": "9a0c116b-838e-4982-8e1f-c1d5eeaefb1f", location: "s3://lake/t" },
  ...{ "last-sequence-number": 1, "last-updated-ms": 1000, "last-column-id": 4 },
  ...{ "current-schema-id": 0, schemas: [SCHEMA], "default-spec-id": 0, "last-partition-id": 1000 },
  "partition-specs": [
    { "spec-id": 0, fields: [{ "source-id": 1, "field-id": 1000, name: "id", transform: "identity" }] },
  ],
  ...{ "default-sort-order-id": 0, "sort-orders": [{ "order-id": 0, fields: [] }], properties: { a: "1" } },
  ...{ "current-snapshot-id": ID, snapshots: [SNAPSHOT] },
  refs: { main: { "snapshot-id": ID, type: "branch" } },
  "snapshot-log": [{ "snapshot-id": ID, "timestamp-ms": 1000 }],
  "metadata-log": [{ "metadata-file": "s3://lake/t/0.json", "timestamp-ms": 500 }],
};
const EMPTY = { ...FILE, snapshots: [], refs: {}, "snapshot-log": [], "current-snapshot-id": -1 };
const without = (...keys: string[]) =>
  Object.fromEntries(Object.entries(FILE).filter(([key]) => !keys.includes(key)));
const parse = (value: unknown) => parseMetadata(value, "s3://lake/t/1.json");
const invalid = (text: RegExp | string) =>
  expect.objectContaining({
    ...{ code: "TABLE_METADATA_INVALID", message: expect.stringMatching(text) },
    where: { path: "s3://lake/t/1.json" },
  });

describe("JSON of Iceberg", () => {
  it("Integers of 64 bits come back as they were", () => {
    const any = fc.oneof(fc.maxSafeInteger(), fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }));
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.array(any)), (value) => {
        const same = JSON.stringify(value, (_key, item: unknown) =>
          typeof item === "bigint" ? `${item}n` : item,
        );
        const read = parseJson(stringifyJson(value));
        expect(
          JSON.stringify(read, (_key, item: unknown) => (typeof item === "bigint" ? `${item}n` : item)),
        ).toBe(same);
      }),
    );
    expect(stringifyJson({ a: ID }, 2)).toBe('{\n  "a": 9007199254740993\n}');
  });

  it("A number with a fraction keeps its text", () => {
    expect(stringifyJson(parseJson('{"a":1.10,"b":1e400}'))).toBe('{"a":1.10,"b":1e400}');
  });
});

describe("Metadata", () => {
  it("Metadata is read from bytes, from gzip, from text and from JSON, and written as it was", () => {
    const text = stringifyJson(FILE);
    const metadata = parse(FILE);
    expect(parse(text)).toEqual(metadata);
    expect(parse(Buffer.from(text))).toEqual(metadata);
    expect(parse(gzipSync(text))).toEqual(metadata);
    const canonical = text.replaceAll("decimal(9,2)", "decimal(9, 2)");
    expect(parseJson(metadataJson(metadata))).toEqual(parseJson(canonical));
  });

  it("Snapshot ids are bigint everywhere, also if they are small", () => {
    const small = parse(parseJson(stringifyJson(FILE).replaceAll(String(ID), "77")));
    expect(small["current-snapshot-id"]).toBe(77n);
    expect(small.snapshots[0]?.["snapshot-id"]).toBe(77n);
    expect(small.refs["main"]?.["snapshot-id"]).toBe(77n);
    expect(small["snapshot-log"][0]?.["snapshot-id"]).toBe(77n);
  });

  it("Unknown keys are kept at all levels", () => {
    const deep = {
      ...{ ...FILE, "next-row-id": ID, statistics: [{ "snapshot-id": ID, x: 1 }] },
      snapshots: [{ ...SNAPSHOT, "key-id": "k" }],
      schemas: [{ ...SCHEMA, fields: [{ ...SCHEMA.fields[0], "initial-default": ID }], note: "n" }],
    };
    expect(parseJson(metadataJson(parse(deep)))).toEqual(deep);
  });

  it.each([
    ["-1", -1],
    ["null", null],
    ["absent", undefined],
  ])("A current snapshot id that is %s means that the table is empty, and is written as -1", (_, id) => {
    const metadata = parse({ ...EMPTY, "current-snapshot-id": id });
    expect("current-snapshot-id" in metadata).toBe(false);
    expect(headSnapshot(metadata)).toBeUndefined();
    expect(parseJson(metadataJson(metadata))).toMatchObject({ "current-snapshot-id": -1 });
  });

  it("A parent snapshot id that is -1 or null is absent", () => {
    for (const parent of [-1, null]) {
      const metadata = parse({ ...FILE, snapshots: [{ ...SNAPSHOT, "parent-snapshot-id": parent }] });
      expect(Object.keys(metadata.snapshots[0] ?? {})).not.toContain("parent-snapshot-id");
    }
  });

  it("Without refs the branch main is the current snapshot", () => {
    expect(parse(without("refs")).refs).toEqual({ main: { "snapshot-id": ID, type: "branch" } });
    expect(parse({ ...FILE, refs: null }).refs).toEqual({ main: { "snapshot-id": ID, type: "branch" } });
  });

  it("Keys that the specification has as optional have defaults", () => {
    const metadata = parse(without("properties", "snapshot-log", "metadata-log"));
    expect(metadata).toMatchObject({ properties: {}, "snapshot-log": [], "metadata-log": [] });
  });

  it("A snapshot of a table that was upgraded from version 1 has the sequence number 0", () => {
    const { "sequence-number": _, summary: __, ...old } = SNAPSHOT;
    expect(parse({ ...FILE, snapshots: [old] }).snapshots[0]).toMatchObject({
      "sequence-number": 0,
      summary: {},
    });
  });

  it("A slash at the end of the location is left out, and types get one text", () => {
    const metadata = parse({ ...FILE, location: "s3://lake/t//" });
    expect(metadata.location).toBe("s3://lake/t");
    expect(metadata.schemas[0]?.fields[1]?.type).toBe("decimal(9, 2)");
  });

  it("Functions find the current schema, the partition spec and the head", () => {
    const metadata = parse(FILE);
    expect(currentSchema(metadata)).toBe(schemaById(metadata, 0));
    expect(currentSpec(metadata)).toBe(specById(metadata, 0));
    expect(headSnapshot(metadata)?.["snapshot-id"]).toBe(ID);
    expect(() => schemaById(metadata, 5)).toThrow(
      expect.objectContaining({ code: "TABLE_METADATA_INVALID" }),
    );
    expect(() => specById(metadata, 5)).toThrow(expect.objectContaining({ code: "TABLE_METADATA_INVALID" }));
  });

  it.each([
    [1, /format-version' = '2'/],
    [3, /another table/],
  ])("Format version %d is refused with a way out", (version, hint) => {
    expect(() => parse({ ...FILE, "format-version": version })).toThrow(
      expect.objectContaining({ code: "TABLE_VERSION_NOT_SUPPORTED", hint: expect.stringMatching(hint) }),
    );
  });

  const [spec] = FILE["partition-specs"] as { fields: object[] }[];
  const field = spec?.fields[0];
  it.each<[string, unknown, RegExp]>([
    ["text that is not JSON", "{", /not JSON/],
    ["text with a name twice", '{"format-version":2,"format-version":2}', /twice/],
    ["bytes that are not UTF-8", Uint8Array.of(0x7b, 0xff), /UTF-8/],
    ["damaged gzip", Uint8Array.of(0x1f, 0x8b, 1, 2), /gzip/],
    ["a list", [], /an array/],
    ["a snapshot id that was rounded", JSON.parse(stringifyJson(FILE)), /rounded/],
    ["no uuid", without("table-uuid"), /table-uuid is missing/],
    ["no sequence number", without("last-sequence-number"), /last-sequence-number is missing/],
    ["a current schema that is missing", { ...FILE, "current-schema-id": 7 }, /current schema/],
    ["a schema twice", { ...FILE, schemas: [SCHEMA, SCHEMA] }, /schemas is there twice/],
    ["a default spec that is missing", { ...FILE, "default-spec-id": 7 }, /partition spec/],
    ["a default sort order that is missing", { ...FILE, "default-sort-order-id": 7 }, /sort order/],
    ["a field id beyond the last", { ...FILE, "last-column-id": 3 }, /beyond last-column-id/],
    [
      "a partition field id beyond the last",
      { ...FILE, "last-partition-id": 999 },
      /beyond last-partition-id/,
    ],
    [
      "a partition without its column",
      { ...FILE, "partition-specs": [{ "spec-id": 0, fields: [{ ...field, "source-id": 9 }] }] },
      /no column/,
    ],
    [
      "a partition field id twice",
      { ...FILE, "partition-specs": [{ "spec-id": 0, fields: [field, field] }] },
      /1000 is there twice/,
    ],
    [
      "a field id twice",
      { ...FILE, schemas: [{ ...SCHEMA, fields: [SCHEMA.fields[0], { ...SCHEMA.fields[1], id: 1 }] }] },
      /schemas\[0\].fields\[1\]: the field id 1/,
    ],
    [
      "a name twice",
      { ...FILE, schemas: [{ ...SCHEMA, fields: [SCHEMA.fields[0], { ...SCHEMA.fields[1], name: "id" }] }] },
      /"id" is there twice/,
    ],
    [
      "a type of a later version",
      { ...FILE, schemas: [{ ...SCHEMA, fields: [{ ...SCHEMA.fields[0], type: "variant" }] }] },
      /"variant"/,
    ],
    [
      "a ref without its snapshot",
      { ...FILE, refs: { main: { "snapshot-id": 5, type: "branch" } } },
      /branch main is missing/,
    ],
    ["a ref of no kind", { ...FILE, refs: { main: { "snapshot-id": ID, type: "x" } } }, /refs.main: /],
    [
      "a main that is a tag",
      { ...FILE, refs: { main: { "snapshot-id": ID, type: "tag" } } },
      /main is a tag/,
    ],
    ["a main without a current snapshot", { ...FILE, "current-snapshot-id": -1 }, /head of the branch main/],
    ["a snapshot twice", { ...FILE, snapshots: [SNAPSHOT, SNAPSHOT] }, /is there twice/],
    ["a snapshot of the future", { ...FILE, "last-sequence-number": 0 }, /beyond last-sequence-number/],
    [
      "a snapshot without a list",
      { ...FILE, snapshots: [{ ...SNAPSHOT, "manifest-list": undefined }] },
      /snapshots\[0\].manifest-list is missing/,
    ],
    [
      "a property that is a number",
      { ...FILE, properties: { a: 1 } },
      /properties.a is an integer, not text/,
    ],
  ])("Metadata with %s is an error that names the place", (_, value, text) => {
    expect(() => parse(value)).toThrow(invalid(text));
  });

  it("Any JSON is metadata or an error of Millrace", () => {
    const change = fc.tuple(fc.constantFrom(...Object.keys(FILE)), fc.jsonValue());
    fc.assert(
      fc.property(fc.array(change, { maxLength: 3 }), (changes) => {
        try {
          parse({ ...FILE, ...Object.fromEntries(changes) });
        } catch (thrown) {
          if (!MillraceError.is(thrown)) throw thrown;
        }
      }),
    );
  });

  it("A new table has no snapshot, and is read as it was made", () => {
    const metadata = newMetadata({
      ...{ uuid: "9a0c116b-838e-4982-8e1f-c1d5eeaefb1f", location: "file:///lake/t", now: 1000 },
      schema: {
        type: "struct",
        "schema-id": 3,
        fields: [{ id: 7, name: "a", required: false, type: "int" }],
      },
      partitionFields: [{ "source-id": 7, "field-id": 1002, name: "a", transform: "bucket[4]" }],
      properties: { x: "y" },
    });
    expect(parse(metadataJson(metadata))).toEqual(metadata);
    expect(metadata).toMatchObject({
      ...{ "format-version": 2, "last-column-id": 7, "last-partition-id": 1002, "current-schema-id": 0 },
      ...{ "last-sequence-number": 0, snapshots: [], refs: {}, properties: { x: "y" } },
    });
  });

  it("The property format-version of a new table is no property, and only 2 is accepted", () => {
    const table = (version: string) => ({
      ...{ uuid: "u", location: "s3://lake/t", now: 0, properties: { "format-version": version, a: "1" } },
      ...{ schema: { type: "struct" as const, "schema-id": 0, fields: [] }, partitionFields: [] },
    });
    expect(newMetadata(table("2")).properties).toEqual({ a: "1" });
    expect(() => newMetadata(table("3"))).toThrow(
      expect.objectContaining({ code: "TABLE_VERSION_NOT_SUPPORTED" }),
    );
  });

  it("A new table whose partition field has no column is refused", () => {
    const table = {
      ...{ uuid: "u", location: "s3://lake/t/1.json", now: 0, properties: {} },
      schema: { type: "struct" as const, "schema-id": 0, fields: [] },
      partitionFields: [{ "source-id": 1, "field-id": 1000, name: "a", transform: "day" }],
    };
    expect(() => newMetadata(table)).toThrow(invalid(/no column/));
  });
});
