import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  parsePartitionFields,
  partitionTypes,
} from "../../../shared/connectors/iceberg/format/partition-spec.ts";
import { partitionSummaries } from "../../../shared/connectors/iceberg/format/partition-summaries.ts";
import { icebergSchemaOf } from "../../../shared/connectors/iceberg/format/schema.ts";
import {
  compareValues,
  decodeValue,
  encodeValue,
} from "../../../shared/connectors/iceberg/format/single-value.ts";
import { humanText, parseTransform } from "../../../shared/connectors/iceberg/format/transforms.ts";
import type { IcebergValue } from "../../../shared/connectors/iceberg/format/types.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

/** Any value of each type. */
const VALUES: Readonly<Record<string, fc.Arbitrary<IcebergValue>>> = {
  boolean: fc.boolean(),
  int: fc.integer(),
  long: int64,
  float: fc.float(),
  double: fc.double(),
  date: fc.integer(),
  time: fc.bigInt({ min: 0n, max: 86_399_999_999n }),
  timestamp: int64,
  timestamptz: int64,
  string: fc.string({ unit: "binary" }),
  uuid: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  "fixed[5]": fc.uint8Array({ minLength: 5, maxLength: 5 }),
  binary: fc.uint8Array(),
  "decimal(38, 4)": fc.bigInt({ min: 1n - 10n ** 38n, max: 10n ** 38n - 1n }),
};

describe("Single values", () => {
  it.each(Object.entries(VALUES))("A value of %s is decoded as it was encoded", (type, values) => {
    fc.assert(
      fc.property(values, (value) => {
        expect(decodeValue(type, encodeValue(type, value))).toEqual(value);
      }),
    );
  });

  it.each(Object.entries(VALUES))("The order of %s is total, and equal only to itself", (type, values) => {
    fc.assert(
      fc.property(values, values, values, (a, b, c) => {
        expect(compareValues(type, a, a)).toBe(0);
        expect(compareValues(type, a, b)).toBe(-compareValues(type, b, a) + 0);
        const sorted = [a, b, c].sort((x, y) => compareValues(type, x, y));
        expect(compareValues(type, sorted[0] as IcebergValue, sorted[2] as IcebergValue)).toBeLessThanOrEqual(
          0,
        );
      }),
    );
  });

  it("Text is ordered by its bytes, and not by its UTF-16 units", () => {
    expect(compareValues("string", "\uffee", "😀")).toBe(-1);
  });

  it("Values from before a column was widened are read", () => {
    expect(decodeValue("long", encodeValue("int", -5))).toBe(-5n);
    expect(decodeValue("double", encodeValue("float", 1.5))).toBe(1.5);
  });

  it.each([
    ["int", 8],
    ["date", 3],
    ["long", 5],
    ["timestamp", 4],
    ["float", 8],
    ["double", 2],
    ["boolean", 0],
    ["uuid", 15],
    ["fixed[5]", 4],
    ["decimal(9, 2)", 0],
  ])("Bytes that are no value of %s are refused", (type, length) => {
    expect(() => decodeValue(type, new Uint8Array(length))).toThrow(
      expect.objectContaining({ code: "BOUND_MALFORMED" }),
    );
  });

  it("Bytes that are not UTF-8 are no text", () => {
    expect(() => decodeValue("string", Uint8Array.of(0xff))).toThrow(
      expect.objectContaining({ code: "BOUND_MALFORMED" }),
    );
  });
});

describe("Partition summaries", () => {
  const hex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString("hex");
  const summary = (type: string, values: readonly (IcebergValue | null)[]) =>
    partitionSummaries(
      [{ id: 1000, name: "x", type }],
      values.map((value) => ({ partition: [value] })),
    ).map(({ lowerBound, upperBound, ...rest }) => ({
      ...rest,
      lower: hex(lowerBound),
      upper: hex(upperBound),
    }))[0];

  it("They have the least and the greatest value, and whether there are nulls", () => {
    expect(summary("int", [3, null, -1])).toEqual({
      containsNull: true,
      containsNan: false,
      lower: "ffffffff",
      upper: "03000000",
    });
  });

  it("They have no bounds if all values are null or NaN", () => {
    expect(summary("double", [Number.NaN, Number.NaN])).toEqual({ containsNull: false, containsNan: true });
    expect(summary("string", [null])).toEqual({ containsNull: true, containsNan: false });
  });

  it("A lower bound of zero is -0, whose order is before 0", () => {
    expect(summary("double", [0, -0])).toMatchObject({
      lower: "0000000000000080",
      upper: "0000000000000000",
    });
  });
});

describe("Partition fields", () => {
  const { schema } = icebergSchemaOf(
    parseDdl(
      "id bigint, time timestamp, name string, s struct<day:date,x:double>, tags array<string>, `a b` int, id_bucket int",
    ),
  );

  it("Texts in the forms of Spark are parsed, and named as Java names them", () => {
    const fields = parsePartitionFields(
      ["days(time)", "truncate(4, name)", "bucket(`a b`, 8)", "id", "YEARS(s.day)", "identity(name)"],
      schema,
    );
    expect(
      fields.map((field) => [field["source-id"], field["field-id"], field.name, field.transform]),
    ).toEqual([
      [2, 1000, "time_day", "day"],
      [3, 1001, "name_trunc", "truncate[4]"],
      [6, 1002, "a b_bucket", "bucket[8]"],
      [1, 1003, "id", "identity"],
      [8, 1004, "s.day_year", "year"],
      [3, 1005, "name", "identity"],
    ]);
    expect(partitionTypes({ "spec-id": 0, fields }, schema).map(({ type }) => type)).toEqual([
      "date",
      "string",
      "int",
      "long",
      "int",
      "string",
    ]);
  });

  it.each([
    [["nope"], 'there is no column "nope"'],
    [["days(name)"], "day does not take string"],
    [["hour(s.day)"], "hour does not take date"],
    [["bucket(4, s.x)"], "bucket does not take double"],
    [["tags.element"], '"tags" is a list or map'],
    [["s"], "identity does not take struct"],
    [["bucket(id)"], "it needs a number and a column"],
    [["bucket(0, id)"], "it needs a number and a column"],
    [["weeks(time)"], '"weeks" is no transform'],
    [["day(time)", "hours(time)"], "divided by day of that column already"],
    [["id", "id"], "divided by identity of that column already"],
    [["bucket(4, id)"], 'the name "id_bucket" is taken'],
  ])("The partition fields %j are refused", (texts, problem) => {
    expect(() => parsePartitionFields(texts, schema)).toThrow(
      expect.objectContaining({ code: "PARTITIONS_INVALID", message: expect.stringContaining(problem) }),
    );
  });

  it("A spec whose column is gone, or whose transform is not known, is refused", () => {
    const spec = (transform: string, id: number) => ({
      "spec-id": 1,
      fields: [{ "source-id": id, "field-id": 1000, name: "x", transform }],
    });
    for (const [transform, id] of [
      ["identity", 99],
      ["zorder", 1],
      ["bucket[0]", 1],
      ["hour", 1],
    ] as const) {
      expect(() => partitionTypes(spec(transform, id), schema)).toThrow(
        expect.objectContaining({ code: "TRANSFORM_NOT_SUPPORTED" }),
      );
    }
  });

  it("Values are printed as Java prints them", () => {
    const text = (transform: string, type: string, value: IcebergValue | null) =>
      humanText(parseTransform(transform), type, value);
    expect(text("year", "int", 56)).toBe("2026");
    expect(text("month", "int", -1)).toBe("1969-12");
    expect(text("day", "date", 20_785)).toBe("2026-11-28");
    expect(text("day", "date", -719_162)).toBe("0001-01-01");
    expect(text("hour", "int", 20_785 * 24 + 3)).toBe("2026-11-28-03");
    expect(text("hour", "int", -1)).toBe("1969-12-31-23");
    expect(text("identity", "date", 59)).toBe("1970-03-01");
    expect(text("identity", "string", null)).toBe("null");
    expect(text("bucket[4]", "int", 3)).toBe("3");
  });
});
