import {
  type Data,
  Dictionary,
  Field,
  Int8,
  Int32,
  LargeUtf8,
  makeData,
  RecordBatch,
  RecordBatchStreamWriter,
  Schema,
  Struct,
  Uint64,
  Utf8,
  Vector,
  vectorFromArray,
} from "apache-arrow";
import { describe, expect, it } from "vitest";
import { decodeFile, decodeSchema, encodeFile, encodeSchema } from "../../../shared/arrow/ipc-file.ts";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { readBytes } from "./bytes.ts";

function batchOf(schema: Schema, ...children: Data[]): RecordBatch {
  const length = children[0]?.length ?? 0;
  return new RecordBatch(
    schema,
    makeData({ type: new Struct(schema.fields), length, nullCount: 0, children }),
  );
}

const schemaOf = (...types: Dictionary[]) =>
  new Schema(types.map((type, i) => new Field(`c${i}`, type, true)));

/** A column with these indices into these values. A null is at the place of each index -1. */
function coded(type: Dictionary, indices: readonly number[], values: Vector): Data {
  const bits = indices.map((index): number => (index < 0 ? 0 : 1));
  const nullBitmap = Uint8Array.of(bits.reduce((byte, bit, i) => byte | (bit << i), 0));
  const data = type.indices.ArrayType.from(indices.map((index) => Math.max(0, index)) as never);
  return makeData({ type, length: indices.length, nullBitmap, data, dictionary: values } as never);
}

const words = (...texts: readonly (string | null)[]) => vectorFromArray(texts, new Utf8());

async function copied(schema: Schema, batches: readonly RecordBatch[]): Promise<unknown[][]> {
  const file = Buffer.concat(await Array.fromAsync(encodeFile(schema, batches)));
  return [...decodeFile(file)].map((batch) => [...rowsOf(batch)].map((row) => Object.values(row)));
}

describe("dictionaries in a file", () => {
  it("Record batches with different dictionaries keep their values in one file", async () => {
    const type = new Dictionary(new Utf8(), new Int32(), 7);
    const schema = schemaOf(type);
    const batches = [
      batchOf(schema, coded(type, [0, 1, -1, 0], words("a", "b"))),
      batchOf(schema, coded(type, [2, 0, 1], words("x", "a", null))),
      batchOf(schema, coded(type, [0], words("b"))),
    ];
    expect(await copied(schema, batches)).toEqual([
      [["a"], ["b"], [null], ["a"]],
      [[null], ["x"], ["a"]],
      [["b"]],
    ]);
  });

  it("Two columns may share the id of a dictionary and have different values", async () => {
    const type = new Dictionary(new Utf8(), new Int8(), 1);
    const schema = schemaOf(type, type);
    const batch = batchOf(schema, coded(type, [0, 1], words("a", "b")), coded(type, [1, 0], words("c", "d")));
    expect(await copied(schema, [batch])).toEqual([
      [
        ["a", "d"],
        ["b", "c"],
      ],
    ]);
  });

  it("A dictionary of several chunks, of large text and with 64-bit indices keeps its values", async () => {
    const type = new Dictionary(new LargeUtf8(), new Uint64() as unknown as Int32, 3);
    const schema = schemaOf(type);
    const chunk = (...texts: string[]) => vectorFromArray(texts, new LargeUtf8()).data[0] as Data<LargeUtf8>;
    const values = new Vector([chunk("a", "b"), chunk("c")]);
    const data = makeData({
      type,
      length: 3,
      data: BigUint64Array.of(2n, 0n, 1n),
      dictionary: values,
    } as never);
    const other = vectorFromArray(["z"], new LargeUtf8());
    const more = makeData({
      type,
      length: 1,
      data: BigUint64Array.of(0n),
      dictionary: other,
    } as never) as Data;
    const batches = [batchOf(schema, data), batchOf(schema, more)];
    expect(await copied(schema, batches)).toEqual([[["c"], ["a"], ["b"]], [["z"]]]);
  });

  it("Values that do not fit into one dictionary are an error, not other values", async () => {
    const type = new Dictionary(new Utf8(), new Int8(), 1);
    const schema = schemaOf(type);
    const many = (prefix: string) => words(...Array.from({ length: 100 }, (_, i) => `${prefix}${i}`));
    const batches = [
      batchOf(schema, coded(type, [99], many("a"))),
      batchOf(schema, coded(type, [99], many("b"))),
    ];
    await expect(copied(schema, batches)).rejects.toMatchObject({
      code: "DICTIONARY_TOO_LARGE",
      where: { field: "c0" },
      hint: expect.stringContaining("Int32"),
    });
  });

  it("Values that a later record batch adds to an ordered dictionary are an error", async () => {
    const type = new Dictionary(new Utf8(), new Int8(), 1, true);
    const schema = schemaOf(type);
    const first = batchOf(schema, coded(type, [0, 1], words("low", "high")));
    const same = batchOf(schema, coded(type, [1], words("low", "high")));
    expect(await copied(schema, [first, same])).toEqual([[["low"], ["high"]], [["high"]]]);
    const other = batchOf(schema, coded(type, [1], words("low", "middle")));
    await expect(copied(schema, [first, other])).rejects.toMatchObject({ code: "DICTIONARY_TOO_LARGE" });
  });

  it("A stream may replace a dictionary and add to it", async () => {
    const type = new Dictionary(new Utf8(), new Int32(), 7);
    const schema = schemaOf(type);
    const [a, b] = [words("a", "b"), words("c")];
    const grown = a.concat(b) as Vector;
    const stream = RecordBatchStreamWriter.writeAll([
      batchOf(schema, coded(type, [1, 0], a)),
      batchOf(schema, coded(type, [2, 0], grown)),
      batchOf(schema, coded(type, [0, 0], words("new"))),
    ]).toUint8Array(true);
    const batches = await readBytes(stream);
    expect(batches.map((batch) => [...rowsOf(batch)].map((row) => row["c0"]))).toEqual([
      ["b", "a"],
      ["c", "a"],
      ["new", "new"],
    ]);
    expect(await copied(schema, batches)).toEqual([
      [["b"], ["a"]],
      [["c"], ["a"]],
      [["new"], ["new"]],
    ]);
  });

  it("A dictionary inside the values of another keeps its values in record batches that differ", async () => {
    const inner = new Dictionary(new Utf8(), new Int8(), 2);
    const pair = new Struct({} as never);
    Object.assign(pair, { children: [new Field("word", inner, true)] });
    const outer = new Dictionary(pair, new Int8(), 1);
    const schema = schemaOf(outer as never);
    const batch = (indices: number[], innerIndices: number[], values: Vector) => {
      const children = [coded(inner, innerIndices, values)];
      const structs = makeData({ type: pair, length: innerIndices.length, nullCount: 0, children } as never);
      return batchOf(schema, coded(outer as never, indices, new Vector([structs as Data])));
    };
    const batches = [batch([1, 0], [0, 1], words("a", "b")), batch([0, 1], [0, 1], words("b", "z"))];
    expect(await copied(schema, batches)).toEqual([
      [[{ word: "b" }], [{ word: "a" }]],
      [[{ word: "b" }], [{ word: "z" }]],
    ]);
  });

  it("A schema with dictionaries and names that are empty survives as text", () => {
    const metadata = new Map([["ARROW:extension:name", "uuid"]]);
    const fields = [
      new Field("", new Dictionary(new LargeUtf8(), new Int8(), 4, true), false, metadata),
      new Field("a.b", new Uint64(), true),
    ];
    const [first, second] = decodeSchema(encodeSchema(new Schema(fields))).fields;
    expect(first).toMatchObject({ name: "", nullable: false, type: { isOrdered: true } });
    expect(first?.metadata).toEqual(metadata);
    expect(String(first?.type)).toBe(String(fields[0]?.type));
    expect(second?.name).toBe("a.b");
  });
});
