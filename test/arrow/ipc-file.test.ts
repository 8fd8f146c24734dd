import { createRequire } from "node:module";
import {
  type Data,
  Dictionary,
  Field,
  Int32,
  LargeUtf8,
  List,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  TimestampMicrosecond,
  tableFromIPC,
  Utf8,
  Utf8View,
  vectorFromArray,
} from "apache-arrow";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeFile, decodeSchema, encodeFile, encodeSchema } from "../../shared/arrow/ipc-file.ts";
import { recordBatchOf, toRecordBatches } from "../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../shared/arrow/rows.ts";
import { valueKeys } from "../../shared/arrow/value-keys.ts";
import { schemaToJson } from "../../shared/contract/ddl/json.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";
import type { Row } from "../../shared/contract/stream-reader.ts";

const ALL_TYPES =
  "b boolean, i8 tinyint, i16 smallint, i32 int NOT NULL, i64 bigint, f float, d double, s string, bin binary, " +
  "day date, ts timestamp, ntz timestamp_ntz, dec decimal(20,3), l array<string>, m map<string,bigint>, " +
  "st struct<x:int NOT NULL,y:array<double>>";
const all = parseDdl(ALL_TYPES);

const fileOf = async (
  schema: Schema,
  batches: Iterable<RecordBatch> | AsyncIterable<RecordBatch>,
): Promise<Buffer> => Buffer.concat(await Array.fromAsync(encodeFile(schema, batches)));
const rowsIn = (file: Uint8Array): unknown[] => [...decodeFile(file)].flatMap((batch) => [...rowsOf(batch)]);
/**
 * Writes rows or record batches from a reader to a file. Returns the rows that are read from the
 * file.
 */
const roundTrip = async (schema: Schema, source: Iterable<Row | RecordBatch>): Promise<unknown[]> =>
  rowsIn(await fileOf(schema, toRecordBatches(schema, source, {})));

/** A value that a reader may yield, and the JSON that is read back. */
type Pair = readonly [value: unknown, json: unknown];
const same = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<Pair> => values.map((value) => [value, value]);
const orNull = (pairs: fc.Arbitrary<Pair>): fc.Arbitrary<Pair> =>
  fc.oneof({ weight: 4, arbitrary: pairs }, fc.constant<Pair>([null, null]));
const integer = (bits: number): fc.Arbitrary<Pair> =>
  same(fc.integer({ min: -(2 ** (bits - 1)), max: 2 ** (bits - 1) - 1 }));
const text = fc.string({ unit: "binary" });
const int64: fc.Arbitrary<Pair> = fc
  .bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
  .chain((big) => fc.constantFrom(big, BigInt.asIntN(40, big)))
  .map((big) => [big, Number.isSafeInteger(Number(big)) ? Number(big) : String(big)]);
const days: fc.Arbitrary<Pair> = fc
  .date({ min: new Date("0001-01-01"), max: new Date("9999-12-31"), noInvalidDate: true })
  .map((date) => date.toISOString().slice(0, 10))
  .map((day) => [day, day]);
/** Generates times between 1970 and 2100, to the microsecond. rows.test.ts tests the limits. */
const micros = (suffix: string): fc.Arbitrary<Pair> =>
  fc
    .tuple(fc.integer({ min: 0, max: 4_102_444_799 }), fc.integer({ min: 0, max: 999_999 }))
    .map(([second, micro]) => {
      const fraction = String(micro).padStart(6, "0");
      const short = fraction.endsWith("000") ? fraction.slice(0, 3) : fraction;
      const time = new Date(second * 1000).toISOString().slice(0, 19);
      return [`${time}.${fraction}${suffix}`, `${time}.${short}${suffix}`];
    });
const decimals: fc.Arbitrary<Pair> = fc
  .bigInt({ min: -(10n ** 20n) + 1n, max: 10n ** 20n - 1n })
  .map((unscaled) => {
    const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(4, "0");
    const shown = `${unscaled < 0n ? "-" : ""}${digits.slice(0, -3)}.${digits.slice(-3)}`;
    return [shown, shown];
  });
const listOf = (pairs: fc.Arbitrary<Pair>): fc.Arbitrary<Pair> =>
  fc
    .array(orNull(pairs), { maxLength: 4 })
    .map((items) => [items.map(([value]) => value), items.map(([, json]) => json)]);
const doubles = same(fc.double({ noNaN: true }));

const columns: Readonly<Record<string, fc.Arbitrary<Pair>>> = {
  b: orNull(same(fc.boolean())),
  i8: orNull(integer(8)),
  i16: orNull(integer(16)),
  i32: integer(32),
  i64: orNull(int64),
  f: orNull(same(fc.float({ noNaN: true }))),
  d: orNull(doubles),
  s: orNull(same(text)),
  bin: orNull(
    fc.uint8Array({ maxLength: 20 }).map((bytes) => [bytes, Buffer.from(bytes).toString("base64")]),
  ),
  day: orNull(days),
  ts: orNull(micros("Z")),
  ntz: orNull(micros("")),
  dec: orNull(decimals),
  l: orNull(listOf(same(text))),
  m: orNull(
    fc.array(fc.tuple(text, orNull(int64)), { maxLength: 4 }).map((entries) => {
      const map = new Map(entries);
      return [
        new Map([...map].map(([key, [value]]) => [key, value])),
        Object.fromEntries([...map].map(([key, [, json]]) => [key, json])),
      ];
    }),
  ),
  st: orNull(
    fc.tuple(integer(32), orNull(listOf(doubles))).map(([x, y]) => [
      { x: x[0], y: y[0] },
      { x: x[1], y: y[1] },
    ]),
  ),
};

describe("encodeFile and decodeFile", () => {
  it("decodeFile returns the rows that encodeFile was given, by name or by position", async () => {
    const rows = fc.array(fc.tuple(fc.record(columns), fc.boolean()), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(rows, async (pairs) => {
        const source = pairs.map(([fields, byPosition]) => {
          const entries = all.fields.map(({ name }) => [name, fields[name]?.[0]] as const);
          return byPosition ? entries.map(([, value]) => value) : Object.fromEntries(entries);
        });
        const expected = pairs.map(([fields]) =>
          Object.fromEntries(all.fields.map(({ name }) => [name, fields[name]?.[1]])),
        );
        expect(await roundTrip(all, source)).toEqual(expected);
      }),
      { numRuns: 200 },
    );
  });

  it("A byte order mark at the start of a value, a key or a name is kept", async () => {
    const mark = "\uFEFF";
    const name = `${mark}s`;
    const types = [new Utf8(), new LargeUtf8(), new Utf8View(), new Dictionary(new Utf8(), new Int32())];
    for (const type of types) {
      const schema = new Schema([new Field(name, type, true)]);
      const { data } = vectorFromArray([`${mark}a`, "a"], type as Utf8);
      const children = [data[0] as Data];
      const batch = new RecordBatch(
        schema,
        makeData({ type: new Struct(schema.fields), length: 2, nullCount: 0, children }),
      );
      const rows = rowsIn(await fileOf(schema, [batch]));
      expect(rows).toEqual([{ [name]: `${mark}a` }, { [name]: "a" }]);
      const keys = valueKeys(children[0] as Data);
      expect(keys(0)).not.toBe(keys(1));
      expect(decodeSchema(encodeSchema(schema)).names).toEqual([name]);
    }
    const map = { m: { [`${mark}k`]: 1n } };
    expect(await roundTrip(parseDdl("m map<string,bigint>"), [map])).toEqual([{ m: { [`${mark}k`]: 1 } }]);
  });

  it("encodeFile keeps several record batches apart", async () => {
    const schema = parseDdl("id int");
    const batches = [[1, 2], [], [3]].map((ids) =>
      recordBatchOf(
        schema,
        ids.map((id) => ({ id })),
      ),
    );
    const decoded = [...decodeFile(await fileOf(schema, batches))];
    expect(decoded.map((batch) => [...rowsOf(batch)])).toEqual([[{ id: 1 }, { id: 2 }], [], [{ id: 3 }]]);
  });

  it("encodeFile writes a file without record batches that still holds the schema", async () => {
    const file = await fileOf(all, []);
    expect(rowsIn(file)).toEqual([]);
    expect(schemaToJson(tableFromIPC(file).schema)).toEqual(schemaToJson(all));
  });

  it("encodeFile writes a file that Arrow's own reader takes, with the magic bytes at both ends", async () => {
    const schema = parseDdl("id bigint");
    const file = await fileOf(schema, [recordBatchOf(schema, [{ id: 2n ** 62n }])]);
    expect([file.toString("latin1", 0, 6), file.toString("latin1", file.length - 6)]).toEqual([
      "ARROW1",
      "ARROW1",
    ]);
    expect(tableFromIPC(file).get(0)?.["id"]).toBe(2n ** 62n);
  });

  it("encodeFile returns a large file in chunks and never holds it whole", async () => {
    const schema = parseDdl("b binary");
    let asked = 0;
    function* batches(): Generator<RecordBatch> {
      for (; asked < 8; asked++) yield recordBatchOf(schema, [[new Uint8Array(600_000).fill(asked)]]);
    }
    const lead: number[] = [];
    const chunks: Uint8Array[] = [];
    for await (const chunk of encodeFile(schema, batches())) {
      chunks.push(chunk);
      lead.push(asked - 2 * chunks.length);
    }
    expect(chunks.length).toBeGreaterThanOrEqual(5);
    expect(Math.max(...lead)).toBeLessThanOrEqual(0);
    expect(rowsIn(Buffer.concat(chunks))).toHaveLength(8);
  });
});

describe("record batches that a reader made itself", () => {
  const stamped = parseDdl("t timestamp, l array<string>");
  const rows = [{ t: "2026-11-21T00:00:00.000Z", l: ["a"] }];

  it("Record batches keep all rows in a file if their columns are nullable and the schema says NOT NULL", async () => {
    const schema = parseDdl("id int NOT NULL");
    const own = recordBatchOf(parseDdl("id int"), [{ id: 2 }]);
    expect(await roundTrip(schema, [{ id: 1 }, own, { id: 3 }])).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
  });

  it("Record batches keep all rows in a file if the schema was stored and read back, as in every task", async () => {
    const stored = decodeSchema(encodeSchema(stamped));
    expect(await roundTrip(stored, [recordBatchOf(stamped, rows), ...rows])).toEqual([...rows, ...rows]);
    expect(await roundTrip(stamped, [recordBatchOf(stored, rows), ...rows])).toEqual([...rows, ...rows]);
  });

  it("Record batches keep all rows in a file if the elements of their lists have another name", async () => {
    const own = new Schema([
      new Field("t", new TimestampMicrosecond("UTC"), true),
      new Field("l", new List(new Field("item", new Utf8(), true)), true),
    ]);
    expect(await roundTrip(stamped, [...rows, recordBatchOf(own, rows)])).toEqual([...rows, ...rows]);
  });

  it("Record batches keep all rows in a file if they carry metadata of their own", async () => {
    const own = new Schema(stamped.fields, new Map([["made", "elsewhere"]]));
    expect(await roundTrip(stamped, [recordBatchOf(own, rows), ...rows])).toEqual([...rows, ...rows]);
  });

  it("Record batches keep all rows in a file if another copy of Arrow made them", async () => {
    const other = createRequire(import.meta.url)("apache-arrow") as typeof import("apache-arrow");
    const table = other.tableFromIPC(await fileOf(stamped, [recordBatchOf(stamped, rows)]));
    expect(other.RecordBatch).not.toBe(RecordBatch);
    expect(await roundTrip(stamped, [...rows, ...table.batches])).toEqual([...rows, ...rows]);
  });

  it("Record batches keep all rows in a file if they are slices of larger ones", async () => {
    const schema = parseDdl("id int, b boolean, s string");
    const many = Array.from({ length: 20 }, (_, id) => ({
      id,
      b: id % 3 === 0 ? null : id % 2 === 0,
      s: `s${id}`,
    }));
    expect(await roundTrip(schema, [recordBatchOf(schema, many).slice(3, 14)])).toEqual(many.slice(3, 14));
  });
});

describe("encodeSchema and decodeSchema", () => {
  it("decodeSchema keeps every type, nullability and metadata that encodeSchema was given", () => {
    const fields = all.fields.map((field) => field.clone({ metadata: new Map([["unit", field.name]]) }));
    const decoded = decodeSchema(encodeSchema(new Schema(fields, new Map([["by", "millrace"]]))));
    expect(String(decoded)).toBe(String(all));
    expect(schemaToJson(decoded)).toEqual(schemaToJson(all));
    expect(decoded.metadata.get("by")).toBe("millrace");
    expect(decoded.fields.map((field) => field.metadata.get("unit"))).toEqual(
      all.fields.map((field) => field.name),
    );
    expect(decoded.fields.at(-1)?.type.children.map((field: Field) => field.nullable)).toEqual([false, true]);
  });

  it("decodeSchema returns a schema that rows can be written with", async () => {
    const decoded = decodeSchema(encodeSchema(parseDdl("d decimal(5,2), t timestamp_ntz, n struct<x:date>")));
    const row = { d: "1.50", t: "2026-11-21T00:00:00.000", n: { x: "2026-11-21" } };
    expect(await roundTrip(decoded, [row])).toEqual([row]);
  });
});
