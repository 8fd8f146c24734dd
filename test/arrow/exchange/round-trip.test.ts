import {
  Data,
  DenseUnion,
  Dictionary,
  Field,
  Int8,
  Int32,
  Map_,
  RecordBatch,
  Schema,
  SparseUnion,
  Struct,
  Utf8,
  vectorFromArray,
} from "apache-arrow";
import { describe, expect, it } from "vitest";
import { FrameDecoder, FrameEncoder } from "../../../shared/arrow/exchange/parts.ts";
import { PlainRows } from "../../../shared/arrow/exchange/plain-rows.ts";
import { RowBuffer } from "../../../shared/arrow/exchange/row-buffer.ts";
import { ArrowFormatError } from "../../../shared/arrow/ipc/format-error.ts";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { isSameType } from "../../../shared/arrow/same-type.ts";
import {
  batchOf,
  chanceOf,
  dictionaries,
  KINDS,
  lists,
  randomRows,
  sliceOf,
  structs,
  text,
} from "../keys/kinds.ts";

const rows = (batches: readonly RecordBatch[]) => batches.flatMap((batch) => [...rowsOf(batch)]);

/** Sends batches through a buffer and frames, as an exchange does. */
function exchanged(schema: Schema, batches: readonly RecordBatch[]): readonly RecordBatch[] {
  const plain = new PlainRows(schema);
  const buffer = new RowBuffer(plain.schema);
  for (const batch of batches) {
    const half = batch.numRows >> 1;
    const some = plain.plain(batch);
    buffer.append(some, 0, half);
    buffer.append(some, half, batch.numRows);
  }
  const frame = new FrameEncoder(plain.schema).encode(buffer.batch());
  const found = new FrameDecoder(plain.schema).next(frame);
  expect(found?.size).toBe(frame.length);
  return [...plain.restored(found?.batch as RecordBatch)];
}

function batchOfColumn(data: Data): RecordBatch {
  const fields = [new Field("c0", data.type, true)];
  return new RecordBatch(
    new Schema(fields),
    new Data(new Struct(fields), 0, data.length, 0, undefined, [data]),
  );
}

const item = (name: string, type: Int32 | Utf8) => new Field(name, type, true);

describe("Rows that are exchanged", () => {
  it.each(KINDS.map((kind, i) => [kind.name, kind, i] as const))(
    "Values of %s stay the same",
    (_, kind, seed) => {
      const chance = chanceOf(seed + 1);
      const one = sliceOf([kind], randomRows([kind], 37, chance), chance);
      const other = sliceOf([kind], randomRows([kind], 9, chance), chance);
      const found = exchanged(one.schema, [one, other]);
      expect(rows(found)).toEqual(rows([one, other]));
      for (const batch of found)
        expect(isSameType(batch.schema.fields[0]?.type as never, kind.type as never)).toBe(true);
    },
  );

  it("Values of maps and unions stay the same", () => {
    const map = new Map_(
      new Field(
        "entries",
        new Struct([new Field("key", new Utf8()), item("value", new Int32())] as never),
        false,
      ),
    );
    const maps = vectorFromArray(
      [
        new Map([["a", 1]]),
        null,
        new Map([
          ["b", null],
          ["c", 3],
        ]),
      ] as never[],
      map as never,
    ).data[0] as Data;
    const fields = [item("a", new Int32()), item("b", new Utf8())];
    const children = [
      vectorFromArray([1, 2, null], new Int32()),
      vectorFromArray(["x", null, "z"], new Utf8()),
    ].map(({ data }) => data[0] as Data);
    const ids = Int8Array.of(0, 1, 0);
    const sparse = new Data(new SparseUnion([0, 1], fields), 0, 3, 0, { 3: ids } as never, children);
    const dense = new Data(
      new DenseUnion([0, 1], fields),
      0,
      3,
      0,
      { 0: Int32Array.of(0, 2, 1), 3: ids } as never,
      children,
    );
    for (const data of [maps, sparse, dense]) {
      const batch = batchOfColumn(data);
      expect(rows(exchanged(batch.schema, [batch, batch.slice(1, 3)]))).toEqual(
        rows([batch, batch.slice(1, 3)]),
      );
    }
  });

  it("A buffer that is used again has only the new rows", () => {
    const kinds = [text, lists(structs(text))];
    const chance = chanceOf(5);
    const first = batchOf(kinds, randomRows(kinds, 30, chance));
    const second = batchOf(kinds, randomRows(kinds, 20, chance));
    const buffer = new RowBuffer(first.schema);
    buffer.append(first, 0, 30);
    buffer.clear();
    buffer.append(second, 0, 20);
    expect(rows([buffer.batch()])).toEqual(rows([second]));
    buffer.release();
    buffer.append(first, 3, 30);
    expect(rows([buffer.batch()])).toEqual(rows([first.slice(3, 30)]));
  });

  it("A batch is divided if its values do not fit into one dictionary", () => {
    const type = new Dictionary(new Utf8(), new Int8());
    const words = (from: number) => Array.from({ length: 100 }, (_, i) => `word ${from + i}`);
    const batches = [0, 100, 200].map((from) =>
      batchOfColumn(vectorFromArray(words(from), type).data[0] as Data),
    );
    const found = exchanged(batches[0]?.schema as Schema, batches);
    expect(rows(found)).toEqual(rows(batches));
    expect(found.length).toBeGreaterThan(1);
  });

  it("An ordered dictionary is refused, as its order would be lost", () => {
    const type = new Dictionary(new Utf8(), new Int32(), 1, true);
    expect(() => new PlainRows(new Schema([new Field("size", type, true)]))).toThrow(
      expect.objectContaining({ code: "DISTRIBUTION_INVALID", message: expect.stringContaining('"size"') }),
    );
  });

  it("A frame in which any byte was changed is refused", () => {
    const kind = dictionaries(text);
    const batch = new PlainRows(batchOf([kind], []).schema).plain(
      batchOf([kind], randomRows([kind], 5, chanceOf(2))),
    );
    const frame = new FrameEncoder(batch.schema).encode(batch);
    for (let at = 0; at < frame.length; at++) {
      const changed = Uint8Array.from(frame);
      changed[at] = (changed[at] as number) ^ 1;
      const decoder = new FrameDecoder(batch.schema);
      // A frame that seems to be longer is not yet complete.
      const isLonger = at >= 8 && at < 12 && (changed[at] as number) > (frame[at] as number);
      if (isLonger) expect(decoder.next(changed)).toBeUndefined();
      else expect(() => decoder.next(changed)).toThrow(ArrowFormatError);
    }
  });
});
