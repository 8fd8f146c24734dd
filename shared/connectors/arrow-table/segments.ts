import { isPlainObject } from "../../contract/json.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import { TABLE_FOLDER } from "../../contract/store-layout.ts";
import { digestOf, putDerived } from "./derived-files.ts";
import { pathProblem } from "./entry-checks.ts";
import type { LogFile } from "./log-entry.ts";

export const SEGMENT_FOLDER = `${TABLE_FOLDER.checkpoints}/segments/`;

/** Maximum number of files in a segment: about 3 MB of text. */
const MAX_FILES = 16_384;
/** A segment with that many files is not merged any more. */
const FULL_FILES = MAX_FILES / 2;

/**
 * A part of the list of live files, as JSON lines in a file that is never changed. The name of the
 * file is the digest of its bytes.
 */
export interface Segment {
  readonly key: string;
  readonly files: number;
  readonly bytes: number;
}

/** Thrown if a segment is gone or is not what was written. Its checkpoint is useless then. */
export class SegmentDamaged extends Error {}

/** Reads the files of a segment. Error: `SegmentDamaged`. */
export async function readSegment(table: ObjectStore, segment: Segment): Promise<LogFile[]> {
  const bytes = await table.get(segment.key);
  if (bytes === undefined) throw new SegmentDamaged(`${segment.key} is missing`);
  const text = Buffer.from(bytes).toString();
  if (segmentKey(text) !== segment.key) throw new SegmentDamaged(`${segment.key} was changed`);
  const files = text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as unknown);
  if (files.length !== segment.files || !files.every(isFile))
    throw new SegmentDamaged(`${segment.key} is not a list of files`);
  return files;
}

function isFile(value: unknown): value is LogFile {
  if (!isPlainObject(value)) return false;
  const isCount = (count: unknown) => Number.isSafeInteger(count) && (count as number) >= 0;
  return pathProblem(value["path"]) === undefined && isCount(value["rows"]) && isCount(value["bytes"]);
}

/** Writes files as segments of bounded size, and returns these in their order. */
export async function writeSegments(
  table: ObjectStore,
  files: AsyncIterable<LogFile> | Iterable<LogFile>,
): Promise<Segment[]> {
  const segments: Segment[] = [];
  let lines: string[] = [];
  const flush = async () => {
    if (lines.length > 0) segments.push(await writeSegment(table, lines));
    lines = [];
  };
  for await (const file of files) {
    lines.push(`${JSON.stringify(file)}\n`);
    if (lines.length === MAX_FILES) await flush();
  }
  await flush();
  return segments;
}

async function writeSegment(table: ObjectStore, lines: readonly string[]): Promise<Segment> {
  const text = lines.join("");
  const key = segmentKey(text);
  const bytes = Buffer.from(text);
  await putDerived(table, key, bytes);
  return { key, files: lines.length, bytes: bytes.length };
}

function segmentKey(text: string): string {
  return `${SEGMENT_FOLDER}${digestOf(text)}.jsonl`;
}

/**
 * Returns the index from which segments are merged with `added` newer files, as in a log-structured
 * merge tree: each is at most twice as large as all that follows it, so that each file is rewritten
 * a few times in total, and there are few small segments.
 */
export function mergedFrom(counts: readonly number[], added: number): number {
  let from = counts.length;
  for (let sum = added; from > 0 && sum > 0; from--) {
    const count = counts[from - 1] ?? 0;
    if (count >= FULL_FILES || count > 2 * sum) break;
    sum += count;
  }
  return from;
}
