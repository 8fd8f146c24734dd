import type { Data, Dictionary } from "apache-arrow";
import { concatData } from "./concat.ts";
import { emptyData } from "./ipc/vector-loader.ts";

/** Dictionaries of several chunks, joined. */
const joined = new WeakMap<object, Data>();

/** Returns the values of a dictionary column's dictionary. It is empty if the column has none. */
export function dictionaryOf(data: Data): Data {
  const type = data.type as Dictionary;
  const { dictionary } = data;
  const chunks = dictionary?.data ?? [];
  const [only] = chunks;
  if (dictionary === undefined || only === undefined) return emptyData(type.dictionary);
  if (chunks.length === 1) return only;
  const known = joined.get(dictionary) ?? concatData(type.dictionary, chunks);
  joined.set(dictionary, known);
  return known;
}

/** Returns the index into the dictionary of each value, and -1 for null. */
export function dictionaryIndexes(data: Data): number[] {
  return Array.from({ length: data.length }, (_, i) => (data.getValid(i) ? Number(data.values[i]) : -1));
}
