import {
  Dictionary,
  Field,
  FixedSizeList,
  Int8,
  Int32,
  LargeUtf8,
  List,
  makeData,
  RecordBatch,
  RecordBatchStreamWriter,
  Schema,
  Struct,
  Utf8,
  Utf8View,
  vectorFromArray,
} from "apache-arrow";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decompressed } from "../../../shared/arrow/ipc/compression.ts";
import { ArrowFormatError } from "../../../shared/arrow/ipc/format-error.ts";
import { encodeFile } from "../../../shared/arrow/ipc-file.ts";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { MillraceError } from "../../../shared/contract/errors.ts";
import { readBytes } from "./bytes.ts";

const item = new Field("item", new Int32(), true);
const COLUMNS = [
  vectorFromArray(["a", null, "ü"], new Dictionary(new Utf8(), new Int8())),
  vectorFromArray(["x", "longer than twelve bytes", null], new Utf8View()),
  vectorFromArray([[1, null], [], null], new List(item)),
  vectorFromArray([[1, 2], null, [3, 4]], new FixedSizeList(2, item)),
  vectorFromArray(["large", null, ""], new LargeUtf8()),
];
const schema = new Schema(COLUMNS.map(({ type }, i) => new Field(`c${i}`, type, true)));
const batch = new RecordBatch(
  schema,
  makeData({
    type: new Struct(schema.fields),
    length: 3,
    nullCount: 0,
    children: COLUMNS.map(({ data }) => data[0]) as never,
  }),
);
const file = Buffer.concat(await Array.fromAsync(encodeFile(schema, [batch, batch])));
const stream = Buffer.from(RecordBatchStreamWriter.writeAll([batch, batch]).toUint8Array(true));

/** Reads all values, and returns the error. */
async function errorOf(bytes: Uint8Array): Promise<unknown> {
  try {
    for (const read of await readBytes(bytes)) expect([...rowsOf(read)].length).toBe(read.numRows);
    return undefined;
  } catch (error) {
    return error;
  }
}

describe("damaged Arrow data", () => {
  it("A file or stream that is cut off at any byte is an error", async () => {
    for (const bytes of [file, stream]) {
      expect(await errorOf(bytes)).toBe(undefined);
      for (let length = 0; length < bytes.length; length++)
        expect(await errorOf(bytes.subarray(0, length)), `${length} bytes`).toBeInstanceOf(ArrowFormatError);
    }
  });

  it("A stream that goes on after its end is an error", async () => {
    expect(await errorOf(Buffer.concat([stream, stream]))).toMatchObject({
      message: expect.stringContaining("after the end"),
    });
    expect(await errorOf(Buffer.concat([stream, Buffer.alloc(8)]))).toBe(undefined);
  });

  it("Damaged bytes are either values or an error of the format, and no other error", async () => {
    const change = fc.record({
      isFile: fc.boolean(),
      at: fc.nat(),
      value: fc.oneof(fc.constantFrom(0, -1, 2 ** 31 - 1, -(2 ** 31), 1, 65536), fc.integer()),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
        const bytes = Buffer.from(changes[0]?.isFile ? file : stream);
        for (const { at, value } of changes) bytes.writeInt32LE(value, (at % (bytes.length - 4)) & ~3);
        const error = await errorOf(bytes);
        if (error !== undefined)
          expect(error instanceof ArrowFormatError || MillraceError.is(error)).toBe(true);
      }),
      { numRuns: 1500 },
    );
  });

  it("A compressed buffer that claims more than it can hold reserves no memory", () => {
    const claim = (size: bigint) => {
      const bytes = Buffer.alloc(40);
      bytes.writeBigInt64LE(size);
      return bytes;
    };
    for (const codec of [0, 1]) {
      const zstd = () => expect.unreachable();
      expect(() => decompressed(claim(2n ** 31n), codec, { zstd })).toThrow(ArrowFormatError);
      expect(() => decompressed(claim(-5n), codec, { zstd })).toThrow(ArrowFormatError);
    }
    expect(() => decompressed(claim(100n), 0, {})).toThrow(/LZ4 is damaged/);
    expect(() => decompressed(claim(100n), 9, {})).toThrow(
      expect.objectContaining({ code: "TYPE_NOT_SUPPORTED" }),
    );
  });
});
