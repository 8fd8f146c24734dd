import {
  Binary,
  BinaryView,
  Bool,
  Data,
  type DataType,
  DateDay,
  DateMillisecond,
  Decimal,
  DurationMicrosecond,
  FixedSizeBinary,
  Float16,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  IntervalDayTime,
  IntervalYearMonth,
  LargeBinary,
  LargeUtf8,
  Null,
  TimeMicrosecond,
  TimeMillisecond,
  TimestampMicrosecond,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  Utf8,
  Utf8View,
} from "apache-arrow";
import { bitmapOf, type Chance, dataOf, type Kind, pick, type Value } from "./kind.ts";

function compareNumbers(a: Value, b: Value): number {
  const [x, y] = [a as number, b as number];
  if (Number.isNaN(x) || Number.isNaN(y)) return Number(Number.isNaN(x)) - Number(Number.isNaN(y));
  return x < y ? -1 : x > y ? 1 : 0;
}

const compareBytes = (a: Value, b: Value): number => Buffer.compare(a as Buffer, b as Buffer);

type Typed = new (values: never[]) => ArrayBufferView;

function integers(type: DataType, array: Typed, bits: number, isSigned = true, isBig = bits > 32): Kind {
  const low = isSigned ? -(2n ** BigInt(bits - 1)) : 0n;
  const edges = [
    low,
    low + 1n,
    low + 2n ** BigInt(bits) - 1n,
    0n,
    1n,
    255n,
    256n,
    65536n,
    2n ** 33n,
    -1n,
    -256n,
  ];
  const wrap = isSigned ? BigInt.asIntN : BigInt.asUintN;
  const plain = (value: bigint) => (isBig ? value : Number(value));
  return {
    name: String(type),
    type,
    make: (chance) => {
      const value = chance() < 0.5 ? pick(chance, edges) : BigInt(Math.floor((chance() - 0.5) * 2 ** 50));
      return plain(wrap(bits, value));
    },
    compare: compareNumbers,
    build: (values) =>
      dataOf(type, values, { 1: new array(values.map((value) => value ?? plain(0n)) as never[]) }),
  };
}

function floats(type: DataType, array: Typed): Kind {
  const edges = [0, -0, 1, -1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 5e-324, 1e300];
  return {
    name: String(type),
    type,
    make: (chance) => {
      const value = chance() < 0.7 ? pick(chance, edges) : (chance() - 0.5) * 1e6;
      return array === (Float32Array as unknown) ? Math.fround(value) : value;
    },
    compare: compareNumbers,
    build: (values) => dataOf(type, values, { 1: new array(values.map((value) => value ?? 0) as never[]) }),
  };
}

const HALVES = new Map<number, number>([
  [0x0000, 0],
  [0x8000, -0],
  [0x3c00, 1],
  [0xbc00, -1],
  [0x7c00, Number.POSITIVE_INFINITY],
  [0xfc00, Number.NEGATIVE_INFINITY],
  [0x0001, 2 ** -24],
  [0x3555, 0.333251953125],
]);

const half: Kind = {
  name: "Float16",
  type: new Float16(),
  make: (chance) => pick(chance, [...HALVES.values()]),
  compare: compareNumbers,
  build: (values) => {
    const bits = values.map((value) => [...HALVES].find(([, one]) => Object.is(one, value))?.[0] ?? 0);
    return dataOf(new Float16(), values, { 1: new Uint16Array(bits) });
  },
};

function decimals(bits: number): Kind {
  const type = new Decimal(2, bits > 128 ? 76 : 38, bits);
  const words = bits / 32;
  return {
    name: `Decimal${bits}`,
    type,
    make: (chance) => {
      const size = pick(chance, [
        0n,
        1n,
        10n,
        2n ** 31n,
        2n ** 32n,
        2n ** 63n,
        2n ** 64n,
        2n ** 100n,
        10n ** 37n,
      ]);
      const value = size + BigInt(Math.floor(chance() * 3));
      return chance() < 0.5 ? value : -value;
    },
    compare: compareNumbers,
    build: (values) => {
      const all = values.flatMap((value) =>
        Array.from({ length: words }, (_, i) =>
          Number(BigInt.asUintN(32, ((value as bigint | null) ?? 0n) >> BigInt(32 * i))),
        ),
      );
      return dataOf(type, values, { 1: Uint32Array.from(all) });
    },
  };
}

const TEXTS = [
  "",
  "a",
  "a\0",
  "a\0b",
  "ab",
  "b",
  "\0",
  "\0\0",
  "ü",
  "𝕩",
  "\uffff",
  "more than twelve bytes",
  "z",
];

const makeText = (chance: Chance): Value => Buffer.from(pick(chance, TEXTS) + (chance() < 0.2 ? "!" : ""));

const makeBytes = (chance: Chance): Value =>
  Buffer.from(Array.from({ length: Math.floor(chance() * 5) }, () => pick(chance, [0, 1, 254, 255])));

function runs(type: DataType, make: Kind["make"], isLarge = false): Kind {
  return {
    name: String(type),
    type,
    make,
    compare: compareBytes,
    build: (values) => {
      const offsets = offsetsOf(values.map((value) => (value as Buffer | null)?.length ?? 0));
      const bytes = new Uint8Array(
        Buffer.concat(values.map((value) => (value as Buffer) ?? Buffer.alloc(0))),
      );
      return dataOf(type, values, { 0: isLarge ? bigOffsets(offsets) : Int32Array.from(offsets), 1: bytes });
    },
  };
}

export const bigOffsets = (offsets: readonly number[]): BigInt64Array =>
  BigInt64Array.from(offsets, (offset) => BigInt(offset));

export function offsetsOf(lengths: readonly number[]): readonly number[] {
  let end = 0;
  return [0, ...lengths.map((length) => (end += length))];
}

function views(type: DataType, make: Kind["make"]): Kind {
  return {
    name: String(type),
    type,
    make,
    compare: compareBytes,
    build: (values) => {
      const buffers: Uint8Array[] = [];
      const all = new Uint8Array(values.length * 16);
      const view = new DataView(all.buffer);
      for (const [i, value] of values.entries()) {
        const bytes = (value as Buffer | null) ?? Buffer.alloc(0);
        view.setInt32(16 * i, bytes.length, true);
        all.set(bytes.subarray(0, bytes.length <= 12 ? 12 : 4), 16 * i + 4);
        if (bytes.length > 12)
          view.setInt32(16 * i + 8, buffers.push(new Uint8Array([7, 7, ...bytes])) - 1, true);
        if (bytes.length > 12) view.setInt32(16 * i + 12, 2, true);
      }
      return dataOf(type, values, { 1: all }, [], { variadic: buffers });
    },
  };
}

const fixedBytes: Kind = {
  name: "FixedSizeBinary",
  type: new FixedSizeBinary(4),
  make: (chance) => Buffer.from(Array.from({ length: 4 }, () => pick(chance, [0, 1, 255]))),
  compare: compareBytes,
  build: (values) => {
    const bytes = Buffer.concat(values.map((value) => (value as Buffer) ?? Buffer.alloc(4)));
    // The values do not begin at a multiple of four.
    const odd = new Uint8Array(bytes.length + 1);
    odd.set(bytes, 1);
    return dataOf(new FixedSizeBinary(4), values, { 1: odd.subarray(1) });
  },
};

const bool: Kind = {
  name: "Bool",
  type: new Bool(),
  make: (chance) => chance() < 0.5,
  compare: (a, b) => Number(a) - Number(b),
  build: (values) => {
    const { bits } = bitmapOf(values.map((value) => (value === true ? 1 : null)));
    return dataOf(new Bool(), values, { 1: bits });
  },
};

const dayTime: Kind = {
  name: "IntervalDayTime",
  type: new IntervalDayTime(),
  make: (chance) => pick(chance, [0, 1, -1, 86_400_000, -86_400_001, 2 ** 40, -(2 ** 40)]),
  compare: compareNumbers,
  build: (values) => {
    // One length may have several forms: 1 day is also 0 days and 86,400,000 milliseconds.
    const parts = values.flatMap((value, i) => {
      const total = Number(value ?? 0);
      const days = i % 2 === 0 || Math.abs(total) > 2 ** 31 ? Math.trunc(total / 86_400_000) : 0;
      return [days, total - days * 86_400_000];
    });
    return dataOf(new IntervalDayTime(), values, { 1: Int32Array.from(parts) });
  },
};

const nothing: Kind = {
  name: "Null",
  type: new Null(),
  make: () => null,
  compare: () => 0,
  build: (values) => new Data(new Null(), 0, values.length, values.length),
};

const long = integers(new Int64(), BigInt64Array as never, 64);
export const int32: Kind = integers(new Int32(), Int32Array as never, 32);
export const text: Kind = runs(new Utf8(), makeText);
export const float64: Kind = floats(new Float64(), Float64Array as never);
export const textViews: Kind = views(new Utf8View(), makeText);
export { bool, half, long };

export const SCALARS: readonly Kind[] = [
  integers(new Int8(), Int8Array as never, 8),
  integers(new Int16(), Int16Array as never, 16),
  int32,
  long,
  integers(new Uint8(), Uint8Array as never, 8, false),
  integers(new Uint16(), Uint16Array as never, 16, false),
  integers(new Uint32(), Uint32Array as never, 32, false),
  integers(new Uint64(), BigUint64Array as never, 64, false),
  half,
  floats(new Float32(), Float32Array as never),
  float64,
  decimals(128),
  decimals(256),
  bool,
  integers(new DateDay(), Int32Array as never, 32),
  integers(new DateMillisecond(), BigInt64Array as never, 64),
  integers(new TimestampMicrosecond(), BigInt64Array as never, 64),
  integers(new TimeMillisecond(), Int32Array as never, 32),
  integers(new TimeMicrosecond(), BigInt64Array as never, 64),
  integers(new DurationMicrosecond(), BigInt64Array as never, 64),
  integers(new IntervalYearMonth(), Int32Array as never, 32),
  dayTime,
  text,
  runs(new LargeUtf8(), makeText, true),
  runs(new Binary(), makeBytes),
  runs(new LargeBinary(), makeBytes, true),
  textViews,
  views(new BinaryView(), makeBytes),
  fixedBytes,
  nothing,
];
