import type { Schema } from "apache-arrow";
import type { DataSourceReader } from "../../../contract/batch-reader.ts";
import type { SchemaLike } from "../../../contract/data-source.ts";
import type { Offset } from "../../../contract/offset.ts";
import type { ReadLimit } from "../../../contract/read-limit.ts";
import type {
  Awaitable,
  DataSourceStreamReader,
  RowSource,
  SimpleDataSourceStreamReader,
} from "../../../contract/stream-reader.ts";
import type { Findings } from "../../report.ts";
import { type RowTexts, readRows } from "../../rows.ts";
import type { Surroundings, SurroundingsOptions } from "../../surroundings.ts";

/** What the check may need besides the source. */
export interface CheckSourceOptions extends SurroundingsOptions {
  /** Of a data source class: as a pipeline would set them. */
  readonly options?: Readonly<Record<string, unknown>>;
  /**
   * Of the rows, if a reader is given and not a data source: without it rows are only compared
   * with each other.
   */
  readonly schema?: SchemaLike;
  /**
   * Brings about that the source has more to read. Else the clock is moved on, if the source
   * goes by that of its `runtime`.
   */
  advance?(): Awaitable<void>;
  /** True if equal rows are no sign of a row that was read twice. */
  readonly hasDuplicates?: boolean;
  /**
   * True for a source that never has more than one range: that its ranges neither overlap nor lose
   * rows is then not checked.
   */
  readonly singleRange?: boolean;
}

export const HOUR = 3_600_000;
/** How far the clock is moved on, in turn, until a source has more. */
export const MOVES = [HOUR, 24 * HOUR, 31 * 24 * HOUR];

export type StreamReader = DataSourceStreamReader<object, unknown>;
export type SimpleReader = SimpleDataSourceStreamReader<object>;

/** A source that is checked, and what with. */
export interface Subject<Reader> {
  /** A reader of its own for each step, as in production. */
  make(): Promise<Reader>;
  /** Of the rows, if it is known. */
  readonly schema: Schema | undefined;
  readonly options: CheckSourceOptions;
  readonly surroundings: Surroundings;
  readonly findings: Findings;
}

/** A range of offsets, and what was read of it. */
export interface ReadRange {
  readonly start: Offset;
  readonly end: Offset;
  readonly partitions: readonly RowTexts[];
}

/**
 * A stream, and what is known of it by now: offsets a = `start`, b and c that follow each other.
 */
export interface StreamSubject extends Subject<StreamReader> {
  limit: ReadLimit;
  start?: Offset;
  b?: Offset;
  c?: Offset;
  /** True if it is certain that there is no other c. */
  isComplete?: boolean;
  ab?: ReadRange;
  bc?: ReadRange;
}

/** What a simple reader read from `start` on. */
export interface SimpleRange {
  readonly start: Offset;
  readonly end: Offset;
  readonly rows: RowTexts;
}

/** A small stream, likewise. */
export interface SimpleSubject extends Subject<SimpleReader> {
  start?: Offset;
  ab?: SimpleRange;
  bc?: SimpleRange;
}

/** A batch, and its partitions once they are planned. */
export interface BatchSubject extends Subject<DataSourceReader<unknown>> {
  partitions?: readonly unknown[];
}

export interface Started {
  readonly start: Offset;
}

/** True once it is known where a stream begins. */
export function hasStart<S extends { start?: Offset }>(subject: S): subject is S & Started {
  return subject.start !== undefined;
}

export interface FirstRange extends Started {
  readonly b: Offset;
}

/** True once the first range is known. */
export function hasFirstRange(stream: StreamSubject): stream is StreamSubject & FirstRange {
  return stream.start !== undefined && stream.b !== undefined;
}

/** True once the rows of the first range are known. */
export function hasReadFirstRange(
  stream: StreamSubject,
): stream is StreamSubject & FirstRange & { readonly ab: ReadRange } {
  return hasFirstRange(stream) && stream.ab !== undefined;
}

/** True once what a simple reader reads first is known. */
export function hasFirstRead(
  subject: SimpleSubject,
): subject is SimpleSubject & Started & { readonly ab: SimpleRange } {
  return hasStart(subject) && subject.ab !== undefined;
}

/** True if there is a second range, which was read. */
export function hasSecondRead(
  subject: SimpleSubject,
): subject is SimpleSubject & Started & { readonly ab: SimpleRange; readonly bc: SimpleRange } {
  return hasFirstRead(subject) && subject.bc !== undefined;
}

/** Makes that there is more to read. */
export async function moveOn(
  { options, surroundings }: Subject<unknown>,
  milliseconds: number,
): Promise<void> {
  if (options.advance !== undefined) await options.advance();
  else surroundings.now += milliseconds;
}

/** Rows as text; what is wrong with them is thrown, or found. */
export async function textsOf(
  { schema, findings }: Subject<unknown>,
  rows: Awaitable<RowSource>,
): Promise<RowTexts> {
  return await readRows(await rows, schema, (problem) => findings.add(problem));
}

export function nothingToRead({ findings }: Subject<unknown>, start: Offset): void {
  findings.add({
    code: "NOTHING_TO_CHECK",
    message: `the source has nothing after ${JSON.stringify(start)}`,
    hint: "Give it something to read: a check of nothing says nothing. advance() may bring it about.",
  });
}
