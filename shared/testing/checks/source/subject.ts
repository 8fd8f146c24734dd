import type { Schema } from "apache-arrow";
import type { DataSourceReader } from "../../../contract/batch-reader.ts";
import type { Offset } from "../../../contract/offset.ts";
import type { ReadLimit } from "../../../contract/read-limit.ts";
import type { SchemaLike } from "../../../contract/schema-like.ts";
import type {
  Awaitable,
  DataSourceStreamReader,
  RowSource,
  SimpleDataSourceStreamReader,
} from "../../../contract/stream-reader.ts";
import type { Findings } from "../../report.ts";
import { type RowTexts, readRows } from "../../rows.ts";
import type { Surroundings, SurroundingsOptions } from "../../surroundings.ts";

/** Options of `checkSource`. */
export interface CheckSourceOptions extends SurroundingsOptions {
  /** The options of a data source class, as in a pipeline. */
  readonly options?: Readonly<Record<string, unknown>>;
  /**
   * The schema of the rows, if a reader is given and not a data source. Without it, rows are only
   * compared with each other.
   */
  readonly schema?: SchemaLike;
  /**
   * Makes the source have more data. Without it, the check moves the clock of `runtime` forward
   * instead.
   */
  advance?(): Awaitable<void>;
  /**
   * Set to true if the source may contain equal rows, so that they do not mean that a row was read
   * twice.
   */
  readonly hasDuplicates?: boolean;
  /**
   * Set to true if the source never has more than one range. The check then does not test whether
   * consecutive ranges overlap or lose rows.
   */
  readonly singleRange?: boolean;
}

export const HOUR = 3_600_000;
/**
 * The steps in milliseconds by which the check moves the clock forward until there is more data.
 */
export const CLOCK_STEPS = [HOUR, 24 * HOUR, 31 * 24 * HOUR];

export type StreamReader = DataSourceStreamReader<object, unknown>;
export type SimpleReader = SimpleDataSourceStreamReader<object>;

/** The source that is checked and the tools of the check. */
export interface Subject<Reader> {
  /** Creates a new reader. Each step uses its own, as in production. */
  make(): Promise<Reader>;
  /** The schema of the rows, if it is known. */
  readonly schema: Schema | undefined;
  readonly options: CheckSourceOptions;
  readonly surroundings: Surroundings;
  readonly findings: Findings;
}

/** A range of offsets and the rows of its partitions. */
export interface ReadRange {
  readonly start: Offset;
  readonly end: Offset;
  readonly partitions: readonly RowTexts[];
}

/**
 * A stream reader and what the check knows so far. The offsets a = `start`, b and c are
 * consecutive.
 */
export interface StreamSubject extends Subject<StreamReader> {
  limit: ReadLimit;
  start?: Offset;
  b?: Offset;
  c?: Offset;
  /** True if all calls that look for b and c succeeded, so a missing c does not exist. */
  isComplete?: boolean;
  ab?: ReadRange;
  bc?: ReadRange;
}

/** A range of offsets and the rows that a simple reader returned for it. */
export interface SimpleRange {
  readonly start: Offset;
  readonly end: Offset;
  readonly rows: RowTexts;
}

/** A simple stream reader and what the check knows so far. */
export interface SimpleSubject extends Subject<SimpleReader> {
  start?: Offset;
  ab?: SimpleRange;
  bc?: SimpleRange;
}

/** A batch reader and its partitions, once they are planned. */
export interface BatchSubject extends Subject<DataSourceReader<unknown>> {
  partitions?: readonly unknown[];
}

export interface Started {
  readonly start: Offset;
}

/** Returns true if the start of the stream is known. */
export function hasStart<S extends { start?: Offset }>(subject: S): subject is S & Started {
  return subject.start !== undefined;
}

export interface FirstRange extends Started {
  readonly b: Offset;
}

/** Returns true if the offsets of the first range are known. */
export function hasFirstRange(stream: StreamSubject): stream is StreamSubject & FirstRange {
  return stream.start !== undefined && stream.b !== undefined;
}

/** Returns true if the rows of the first range are known. */
export function hasReadFirstRange(
  stream: StreamSubject,
): stream is StreamSubject & FirstRange & { readonly ab: ReadRange } {
  return hasFirstRange(stream) && stream.ab !== undefined;
}

/** Returns true if a simple reader has read its first range. */
export function hasFirstRead(
  subject: SimpleSubject,
): subject is SimpleSubject & Started & { readonly ab: SimpleRange } {
  return hasStart(subject) && subject.ab !== undefined;
}

/** Returns true if a simple reader has read a second range. */
export function hasSecondRead(
  subject: SimpleSubject,
): subject is SimpleSubject & Started & { readonly ab: SimpleRange; readonly bc: SimpleRange } {
  return hasFirstRead(subject) && subject.bc !== undefined;
}

/** Makes the source have more data, with `advance` or by moving the clock. */
export async function provideMoreData(
  { options, surroundings }: Subject<unknown>,
  milliseconds: number,
): Promise<void> {
  if (options.advance !== undefined) await options.advance();
  else surroundings.now += milliseconds;
}

/** Reads rows as text. Invalid rows are thrown as an error or reported as a problem. */
export async function readTexts(
  { schema, findings }: Subject<unknown>,
  rows: Awaitable<RowSource>,
): Promise<RowTexts> {
  return await readRows(await rows, schema, (problem) => findings.add(problem));
}

export function reportNothingToRead({ findings }: Subject<unknown>, start: Offset): void {
  findings.add({
    code: "NOTHING_TO_CHECK",
    message: `the source has nothing after ${JSON.stringify(start)}`,
    hint: "Give it something to read: a check of nothing says nothing. advance() may bring it about.",
  });
}
