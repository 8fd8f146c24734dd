import {
  Data,
  Dictionary,
  Field,
  FixedSizeList,
  Int16,
  LargeList,
  List,
  RecordBatch,
  Schema,
  Struct,
  Vector,
} from "apache-arrow";
import { type Chance, dataOf, type Kind, type Value } from "./kind.ts";
import {
  bigOffsets,
  bool,
  float64,
  int32,
  long,
  offsetsOf,
  SCALARS,
  text,
  textViews,
} from "./scalar-kinds.ts";

export * from "./kind.ts";
export { float64, half, int32, long, SCALARS, text, textViews } from "./scalar-kinds.ts";

/** Nulls come first within structs and lists. */
export function compareInside({ compare }: Kind, a: Value, b: Value): number {
  return a === null || b === null ? Number(b === null) - Number(a === null) : compare(a, b);
}

export function maybe(kind: Kind, chance: Chance): Value {
  return chance() < 0.2 ? null : kind.make(chance);
}

export function structs(...kinds: readonly Kind[]): Kind {
  const type = new Struct(kinds.map((kind, i) => new Field(`f${i}`, kind.type, true)));
  return {
    name: `Struct of ${kinds.map(({ name }) => name)}`,
    type,
    make: (chance) => kinds.map((kind) => maybe(kind, chance)),
    compare: (a, b) =>
      kinds
        .map((kind, i) => compareInside(kind, (a as Value[])[i] as Value, (b as Value[])[i] as Value))
        .find((sign) => sign !== 0) ?? 0,
    build: (values) =>
      dataOf(
        type,
        values,
        {},
        // A field below a null struct has some value all the same.
        kinds.map((kind, i) =>
          kind.build(
            values.map((one) => (one === null ? kind.make(() => 0.4) : ((one as Value[])[i] as Value))),
          ),
        ),
      ),
  };
}

function compareLists(item: Kind, a: Value, b: Value): number {
  const [one, other] = [a as Value[], b as Value[]];
  for (let i = 0; i < Math.min(one.length, other.length); i++) {
    const sign = compareInside(item, one[i] as Value, other[i] as Value);
    if (sign !== 0) return sign;
  }
  return one.length - other.length;
}

export function lists(item: Kind, isLarge = false): Kind {
  const field = new Field("item", item.type, true);
  const type = isLarge ? new LargeList(field) : new List(field);
  return {
    name: `${isLarge ? "LargeList" : "List"} of ${item.name}`,
    type,
    make: (chance) => Array.from({ length: Math.floor(chance() * 4) }, () => maybe(item, chance)),
    compare: (a, b) => compareLists(item, a, b),
    build: (values) => {
      const offsets = offsetsOf(values.map((value) => (value as Value[] | null)?.length ?? 0));
      const child = item.build(values.flatMap((value) => (value as Value[] | null) ?? []));
      const buffers = { 0: isLarge ? bigOffsets(offsets) : Int32Array.from(offsets) };
      return dataOf(type, values, buffers, [child]);
    },
  };
}

export function fixedLists(item: Kind): Kind {
  const type = new FixedSizeList(2, new Field("item", item.type, true));
  return {
    name: `FixedSizeList of ${item.name}`,
    type,
    make: (chance) => [maybe(item, chance), maybe(item, chance)],
    compare: (a, b) => compareLists(item, a, b),
    build: (values) =>
      dataOf(type, values, {}, [item.build(values.flatMap((value) => (value as Value[]) ?? [null, null]))]),
  };
}

export function dictionaries(kind: Kind): Kind {
  const type = new Dictionary(kind.type, new Int16() as never, 7);
  return {
    ...kind,
    name: `Dictionary of ${kind.name}`,
    type,
    build: (values) => {
      // It has a null, values twice, and one that no row has.
      const entries = [null, kind.make(() => 0.7), ...values.filter((value) => value !== null)];
      const used = values.map((value, i) =>
        value === null ? (i % 2 === 0 ? null : 0) : entries.indexOf(value),
      );
      const indexes = Int16Array.from(used, (index) => index ?? 0);
      return dataOf(type, used, { 1: indexes }, [], { dictionary: new Vector([kind.build(entries)]) });
    },
  };
}

export const KINDS: readonly Kind[] = [
  ...SCALARS,
  structs(int32, text),
  structs(text, structs(float64, bool)),
  lists(text),
  lists(int32, true),
  lists(lists(structs(int32, text))),
  fixedLists(float64),
  dictionaries(text),
  dictionaries(long),
  structs(dictionaries(text), int32),
  lists(dictionaries(text)),
  structs(textViews, lists(textViews)),
];

/** Random values of kinds, by row. */
export function randomRows(kinds: readonly Kind[], count: number, chance: Chance): readonly Value[][] {
  return Array.from({ length: count }, () => kinds.map((kind) => maybe(kind, chance)));
}

/** Returns the rows as a record batch with columns c0, c1 and so on. */
export function batchOf(kinds: readonly Kind[], rows: readonly Value[][]): RecordBatch {
  const fields = kinds.map(({ type }, i) => new Field(`c${i}`, type, true));
  const children = kinds.map((kind, i) => kind.build(rows.map((row) => row[i] as Value)));
  return new RecordBatch(
    new Schema(fields),
    new Data(new Struct(fields), 0, rows.length, 0, undefined, children),
  );
}

/** Like `batchOf`, as a slice of a batch that has other rows before and after. */
export function sliceOf(kinds: readonly Kind[], rows: readonly Value[][], chance: Chance): RecordBatch {
  const before = randomRows(kinds, 1 + Math.floor(chance() * 12), chance);
  const after = randomRows(kinds, 3, chance);
  const whole = batchOf(kinds, [...before, ...rows, ...after]);
  return whole.slice(before.length, before.length + rows.length);
}
