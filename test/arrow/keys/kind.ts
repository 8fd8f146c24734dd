import { Data, type DataType, type Vector } from "apache-arrow";

/** A random number from 0 to 1, from a seed. */
export type Chance = () => number;

export function chanceOf(seed: number): Chance {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

export function pick<T>(chance: Chance, items: readonly T[]): T {
  return items[Math.floor(chance() * items.length)] as T;
}

export type Value = number | bigint | boolean | Buffer | null | readonly Value[];

/** A type of columns: how its values are made, compared by what Spark says, and built. */
export interface Kind {
  readonly name: string;
  readonly type: DataType;
  /** Makes a value that is not null. */
  make(chance: Chance): Value;
  /** Compares two values that are not null. */
  compare(a: Value, b: Value): number;
  build(values: readonly Value[]): Data;
}

export function bitmapOf(values: readonly Value[]): { readonly bits: Uint8Array; readonly nulls: number } {
  const bits = new Uint8Array((values.length + 7) >> 3);
  let nulls = 0;
  for (const [i, value] of values.entries())
    if (value === null) nulls++;
    else bits[i >> 3] = (bits[i >> 3] ?? 0) | (1 << (i & 7));
  return { bits, nulls };
}

export function dataOf(
  type: DataType,
  values: readonly Value[],
  buffers: object,
  children: Data[] = [],
  more: { readonly dictionary?: Vector; readonly variadic?: Uint8Array[] } = {},
): Data {
  const { bits, nulls } = bitmapOf(values);
  const all = { ...buffers, ...(nulls > 0 ? { 2: bits } : {}) } as never;
  return new Data(type, 0, values.length, nulls, all, children, more.dictionary, more.variadic);
}
