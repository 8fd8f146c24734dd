import type { Schema } from "apache-arrow";
import { decodeSchema, encodeSchema } from "../arrow/ipc-file.ts";
import { isPlainObject, type JsonValue } from "../contract/json.ts";
import type { Offset } from "../contract/offset.ts";
import { optional } from "../contract/optional.ts";
import type { SortOrder } from "../contract/write/distribution.ts";
import type { TaskBadRows } from "./ports/tasks.ts";
import type { ShuffleSpec } from "./shuffle/spec.ts";

/*
 * A partitions file is text, and each of its lines is JSON:
 *
 *   {"version":2,"count":2,"schema":"…","start":{…},"end":{…}}     the header
 *   {"task":0,"partition":{…}}                                     one line for each partition
 *   {"task":1,"partition":{…}}
 *    61                                                            the index: the position of each
 *   129                                                            of these lines, and of the first
 *   197                                                            line of the index
 *
 * All lines of the index have the same length, so a task finds its own without reading the others.
 * The name of the file has the length of the header, the position of the index and the number of
 * partitions. Files of older versions are one JSON array.
 */

/** The part of a batch's plan that all its tasks need. */
export interface PlanHeader {
  /** The schema of the rows that are written: those of the source, after all steps. */
  readonly schema: Schema;
  /** The schema of the source's rows. Absent if no step changes them. */
  readonly sourceSchema?: Schema;
  /** Key of the Arrow IPC file with the rows that a simple reader returned while planning. */
  readonly rowsKey?: string;
  /** Rows that a simple reader returned while planning and that do not fit its schema. */
  readonly misfits?: TaskBadRows;
  /** Present if the tasks exchange rows, and do not write them. */
  readonly exchange?: PlannedExchange;
  /**
   * The schema of the rows that the tasks read, if these were exchanged. Each partition is then a
   * `ShuffledPartition`.
   */
  readonly exchangedSchema?: Schema;
  /** True if the exchanged rows are already those that the writers get. */
  readonly isTransformed?: boolean;
  /** The order in which a writer gets the rows of its task. */
  readonly ordering?: readonly SortOrder[];
  /** True if the partitions are files of quarantined rows: each is a `RetryPartition`. */
  readonly isRetry?: boolean;
  /** Offsets of the batch, for messages about its tasks. Files of older versions lack them. */
  readonly start?: Offset;
  readonly end?: Offset;
  /** Number of partitions. A batch without partitions has one task, which has none. */
  readonly count: number;
}

/** What the tasks of a stage do that exchanges rows. */
export interface PlannedExchange {
  /** The number of the stage, from 0. */
  readonly stage: number;
  /** Number of partitions of the source. */
  readonly inputPartitions: number;
  /** When the batch was planned first, in epoch milliseconds. */
  readonly plannedAt: number;
  /** How the rows of each exchange are split. */
  readonly specs: readonly ShuffleSpec[];
  /** `isTransformed` and `ordering` of the stage whose tasks write. */
  readonly isTransformed: boolean;
  readonly ordering: readonly SortOrder[];
}

/** Where the parts of a partitions file are, in bytes. The name of the file has it. */
export interface FileLayout {
  /** Length of the header, with its line end. */
  readonly headerBytes: number;
  /** Position of the index. */
  readonly indexAt: number;
  /** Number of partitions. */
  readonly count: number;
}

/** A part of a file, in bytes; `end` is exclusive. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** The file does not have the format. The message says what is wrong with it. */
export class PartitionsFormatError extends Error {}

const VERSION = 2;

/** Encodes a file as its lines, and returns where they are. */
export function encodeLines(
  { count, schema, sourceSchema, rowsKey, exchangedSchema, ...others }: PlanHeader,
  partitions: readonly unknown[],
): { readonly layout: FileLayout; readonly lines: readonly Uint8Array[] } {
  const header = {
    version: VERSION,
    count,
    schema: encodeSchema(schema),
    ...(sourceSchema === undefined ? {} : { sourceSchema: encodeSchema(sourceSchema) }),
    rows: rowsKey,
    ...(exchangedSchema === undefined ? {} : { exchangedSchema: encodeSchema(exchangedSchema) }),
    ...others,
  };
  const lines = [line(header), ...partitions.map((partition, task) => line({ task, partition }))];
  const positions = positionsAfter(lines);
  const [headerBytes = 0] = positions;
  const layout = { headerBytes, indexAt: positions.at(-1) ?? 0, count };
  const width = indexLineBytes(layout);
  const index = positions.map((position) => `${String(position).padStart(width - 1)}\n`).join("");
  return { layout, lines: [...lines, Buffer.from(index)] };
}

function line(value: object): Uint8Array {
  return Buffer.from(`${JSON.stringify(value)}\n`);
}

/** Returns the position after each line. */
function positionsAfter(lines: readonly Uint8Array[]): number[] {
  let position = 0;
  return lines.map((each) => {
    position += each.length;
    return position;
  });
}

function indexLineBytes({ indexAt }: FileLayout): number {
  return String(indexAt).length + 1;
}

/** Returns the size of the file. */
export function fileBytes(layout: FileLayout): number {
  return layout.indexAt + (layout.count + 1) * indexLineBytes(layout);
}

/** Returns the place of the two index lines that say where a partition begins and ends. */
export function indexRange(layout: FileLayout, partition: number): ByteRange {
  const width = indexLineBytes(layout);
  const start = layout.indexAt + partition * width;
  return { start, end: start + 2 * width };
}

/** Decodes the two index lines of a partition. Throws `PartitionsFormatError`. */
export function decodeIndex(layout: FileLayout, bytes: Uint8Array): ByteRange {
  const [, first, second] = /^ *(\d+)\n *(\d+)\n$/.exec(textOf(bytes)) ?? [];
  const range = { start: Number(first), end: Number(second) };
  const isInside = range.start >= layout.headerBytes && range.end <= layout.indexAt;
  if (isInside && range.start < range.end) return range;
  throw new PartitionsFormatError("its index does not say where the partition is");
}

/** Decodes the header. Throws `PartitionsFormatError`. */
export function decodeHeader(layout: FileLayout, bytes: Uint8Array): PlanHeader {
  const header = parsed(bytes, layout.headerBytes, "its header");
  if (header["version"] !== VERSION || header["count"] !== layout.count)
    throw new PartitionsFormatError("its header and its name do not belong together");
  return { ...headerOf(header), count: layout.count };
}

/** Decodes the line of a partition. Throws `PartitionsFormatError`. */
export function decodePartition(task: number, bytes: Uint8Array, { start, end }: ByteRange): unknown {
  const entry = parsed(bytes, end - start, `partition ${task}`);
  if (entry["task"] === task && "partition" in entry) return entry["partition"];
  throw new PartitionsFormatError(`partition ${task} is not where its index says`);
}

/**
 * Decodes a file of an older version: a JSON array with one entry per task, of which the first also
 * has the header. Throws `PartitionsFormatError`.
 */
export function decodeOldFile(bytes: Uint8Array): {
  readonly header: PlanHeader;
  readonly partitions: readonly unknown[];
} {
  const entries = json(bytes, "it");
  if (!Array.isArray(entries) || !entries.every(isPlainObject))
    throw new PartitionsFormatError("it is not a list of partitions");
  if (entries.some(({ task }, i) => task !== i))
    throw new PartitionsFormatError("its partitions are not in order");
  const partitions = entries.flatMap((entry) => ("partition" in entry ? [entry["partition"]] : []));
  if (partitions.length !== entries.length && entries.length !== 1)
    throw new PartitionsFormatError("a task has no partition");
  return { header: { ...headerOf(entries[0] ?? {}), count: partitions.length }, partitions };
}

function headerOf(header: Readonly<Record<string, unknown>>): Omit<PlanHeader, "count"> {
  const { schema, sourceSchema, rows, start, end, exchange, exchangedSchema } = header;
  const { isTransformed, ordering, isRetry, misfits } = header;
  return {
    schema: schemaOf(schema),
    ...(sourceSchema === undefined ? {} : { sourceSchema: schemaOf(sourceSchema) }),
    ...(typeof rows === "string" ? { rowsKey: rows } : {}),
    ...optional("start", start as Offset | undefined),
    ...optional("end", end as Offset | undefined),
    ...optional("exchange", exchange as PlannedExchange | undefined),
    ...(exchangedSchema === undefined ? {} : { exchangedSchema: schemaOf(exchangedSchema) }),
    ...(isTransformed === true ? { isTransformed } : {}),
    ...(isRetry === true ? { isRetry } : {}),
    ...optional("misfits", misfits as TaskBadRows | undefined),
    ...optional("ordering", ordering as readonly SortOrder[] | undefined),
  };
}

function schemaOf(text: unknown): Schema {
  if (typeof text !== "string") throw new PartitionsFormatError("it has no schema");
  try {
    return decodeSchema(text);
  } catch (error) {
    throw new PartitionsFormatError("its schema cannot be decoded", { cause: error });
  }
}

/** Parses a line that is an object and has `length` bytes. */
function parsed(bytes: Uint8Array, length: number, what: string): Readonly<Record<string, unknown>> {
  if (bytes.length < length) throw new PartitionsFormatError(`it ends within ${what}`);
  const value = json(bytes, what);
  if (isPlainObject(value)) return value;
  throw new PartitionsFormatError(`${what} is not an object`);
}

function json(bytes: Uint8Array, what: string): JsonValue {
  try {
    return JSON.parse(textOf(bytes)) as JsonValue;
  } catch {
    throw new PartitionsFormatError(`${what} is not JSON`);
  }
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
}
