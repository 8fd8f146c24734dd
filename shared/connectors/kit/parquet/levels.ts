import { MalformedFileError } from "../malformed.ts";
import { readRuns } from "./rle.ts";
import type { ThriftStruct } from "./thrift.ts";
import { NotSupportedError } from "./unsupported.ts";

/**
 * A page with more entries is refused, because its levels and values would not fit the memory that
 * a task has. Writers make pages of some 20,000 rows.
 */
const MAX_ENTRIES = 2 ** 26;

const ENCODINGS = [
  "PLAIN",
  "GROUP_VAR_INT",
  "PLAIN_DICTIONARY",
  "RLE",
  "BIT_PACKED",
  "DELTA_BINARY_PACKED",
  "DELTA_LENGTH_BYTE_ARRAY",
  "DELTA_BYTE_ARRAY",
  "RLE_DICTIONARY",
  "BYTE_STREAM_SPLIT",
];

/** Returns the name of an encoding, or its number if it has none. */
export function nameOf(encoding: number): string {
  return ENCODINGS[encoding] ?? `number ${encoding}`;
}

/** Returns the number of entries that a page header says. */
export function entriesOf(header: ThriftStruct): number {
  const entries = header.required(header.size(1, "number of values"), "number of values");
  if (entries > MAX_ENTRIES)
    throw new NotSupportedError(
      `it has ${entries} values, more than ${MAX_ENTRIES} in one page`,
      "Write the file again with smaller pages.",
    );
  return entries;
}

/** Reads the levels of a page, none of which is above `max`. Error: `MalformedFileError`. */
export function readLevels(bytes: Uint8Array, max: number, count: number): Uint8Array {
  const levels = new Uint8Array(count);
  readRuns(bytes, 32 - Math.clz32(max), levels);
  for (const level of levels)
    if (level > max) throw new MalformedFileError(`it has the level ${level}, and ${max} is the highest`);
  return levels;
}

export function occurrences(levels: Uint8Array, wanted: number): number {
  let count = 0;
  for (const level of levels) if (level === wanted) count++;
  return count;
}
