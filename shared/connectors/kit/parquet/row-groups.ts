import type { ByteSource } from "../../../arrow/ipc/source.ts";
import type { Row } from "../../../contract/stream-reader.ts";
import { quoted } from "../column-names.ts";
import { MalformedFileError } from "../malformed.ts";
import type { ValueReader } from "./assembly.ts";
import { Cursor } from "./cursor.ts";
import { type ColumnChunk, MAGIC_BYTES, type RowGroup, type UnreadableChunk } from "./footer.ts";
import { PageReader } from "./pages.ts";
import type { ColumnPlan } from "./plans.ts";
import type { Leaf } from "./tree.ts";
import { notSupported } from "./unsupported.ts";

/**
 * Old writers did not count the header of the dictionary page in a column's size. Readers therefore
 * read some bytes more, as pyarrow does.
 */
const SIZE_SLACK = 100;
/** Ranges are read in one request if no more than these bytes are between them. */
const MAX_GAP = 64 * 1024;
const MAX_REQUEST = 8 * 1024 * 1024;

interface Range {
  readonly start: number;
  readonly end: number;
}

/**
 * Returns the rows of a row group. Its compressed bytes are in memory, and one decoded page of each
 * column. Errors: `MalformedFileError`, `FILE_FEATURE_NOT_SUPPORTED`.
 */
export async function readRowGroup(
  file: ByteSource,
  { rows, columns }: RowGroup,
  index: number,
  plans: readonly (ColumnPlan | undefined)[],
  pagesEnd: number,
): Promise<Iterable<Row>> {
  const leaves = plans.flatMap((plan) => plan?.leaves ?? []);
  const chunks = leaves.map((leaf) => {
    const chunk = checkedChunk(leaf, columns[leaf.leaf], rows, index);
    if (rows > 0 && (chunk.start < MAGIC_BYTES || chunk.end > pagesEnd))
      throw damaged(
        `row group ${index + 1} has the column ${quoted([leaf.path.join(".")])} from ${chunk.start} to ${chunk.end}, outside of the file's pages`,
      );
    return chunk;
  });
  if (rows === 0) return [];
  const ranges = chunks.map(({ start, end }) => ({ start, end: Math.min(end + SIZE_SLACK, pagesEnd) }));
  const parts = await readRanges(file, ranges);
  const cursors: Cursor[] = [];
  const readers = plans.map((plan) =>
    plan?.open((leaf, convert) => {
      const i = leaves.indexOf(leaf);
      const [chunk, bytes] = [chunks[i], parts[i]];
      if (chunk === undefined || bytes === undefined) throw new TypeError("a column that was not planned");
      const cursor = new Cursor(leaf, new PageReader(leaf, chunk, bytes, index), convert);
      cursors.push(cursor);
      return cursor;
    }),
  );
  return rowsOf(readers, rows, cursors);
}

function* rowsOf(
  readers: readonly (ValueReader | undefined)[],
  rows: number,
  cursors: readonly Cursor[],
): Generator<Row> {
  const inLists = cursors.filter(({ leaf }) => leaf.repetition > 0);
  for (let row = 0; row < rows; row++) {
    for (const cursor of inLists)
      if (cursor.repetition !== 0) throw cursor.damaged("it has values that belong to no row");
    yield readers.map((reader) => (reader === undefined ? null : reader.read()));
  }
  for (const cursor of cursors)
    if (!cursor.isAtEnd) throw cursor.damaged(`it has more values than the row group has rows, ${rows}`);
}

function checkedChunk(
  leaf: Leaf,
  chunk: ColumnChunk | UnreadableChunk | undefined,
  rows: number,
  index: number,
): ColumnChunk {
  const field = leaf.path.join(".");
  const name = quoted([field]);
  if (chunk === undefined) throw new TypeError("a column without a chunk");
  if ("problem" in chunk)
    throw notSupported(`column ${name} ${chunk.problem}`, "Leave the column out of .schema(…).", field);
  const place = `row group ${index + 1} has for the column ${name}`;
  if (chunk.path.length !== leaf.path.length || chunk.path.some((part, i) => part !== leaf.path[i]))
    throw damaged(`${place} the column ${quoted([chunk.path.join(".")])}`);
  if (chunk.type !== leaf.element.type)
    throw damaged(`${place} the type ${chunk.type}, and the schema has ${leaf.element.type}`);
  if ((leaf.repetition === 0 || rows === 0) && chunk.values !== rows)
    throw damaged(`${place} ${chunk.values} values, and it has ${rows} rows`);
  return chunk;
}

function damaged(problem: string): MalformedFileError {
  return new MalformedFileError(`the footer is damaged: ${problem}`);
}

/** Returns the bytes of each range, with one request for ranges that are near each other. */
async function readRanges(file: ByteSource, ranges: readonly Range[]): Promise<Uint8Array[]> {
  const requests: { start: number; end: number; bytes?: Promise<Uint8Array> }[] = [];
  for (const { start, end } of ranges.toSorted((a, b) => a.start - b.start)) {
    const last = requests.at(-1);
    if (last !== undefined && start - last.end <= MAX_GAP && end - last.start <= MAX_REQUEST)
      last.end = Math.max(last.end, end);
    else requests.push({ start, end });
  }
  for (const request of requests) request.bytes = file.range(request.start, request.end);
  const read = await Promise.all(requests.map(({ bytes }) => bytes));
  return ranges.map(({ start, end }) => {
    const i = requests.findLastIndex((request) => request.start <= start && end <= request.end);
    const from = requests[i]?.start ?? 0;
    return read[i]?.subarray(start - from, end - from) ?? new Uint8Array(0);
  });
}
