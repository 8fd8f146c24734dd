import { Binary, Field, Int8, Int32, Int64, Schema } from "apache-arrow";
import { matcherOf, type RowMatcher } from "../../arrow/predicates/row-matcher.ts";
import { checkOrdering } from "../../arrow/sort-keys.ts";
import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import type { MergeStream } from "../../contract/merge-stream.ts";
import { suggest } from "../../contract/suggest.ts";
import { asc } from "../../contract/write/distribution.ts";
import { OperationLayout } from "../row-level/operation-rows.ts";

/** Columns that are added to the rows of a stream of changes. */
export const ADDED = {
  /** A code of `OPERATION`. */
  operation: "__operation",
  /** Bytes with the order of the sequence. */
  sequence: "__sequence",
  /** Where the change was read: its partition, and its row there, from 1. */
  partition: "__partition",
  row: "__row",
} as const;

/** The metadata column with the sequence as a value. */
const START = "__start_at";
/** The columns that a table adds to rows of SCD type 2. */
const INTERVAL = ["__START_AT", "__END_AT"];

/** What a merge makes of the columns of a stream. It is the same in each step of a batch. */
export interface MergePlan {
  readonly settings: MergeStream;
  /** The columns of the stream. */
  readonly source: Schema;
  /** The columns that the table stores. */
  readonly stored: Schema;
  readonly keys: Schema;
  readonly metadata: Schema;
  /** The columns of changes: what is stored or compared, and `ADDED`. */
  readonly changes: Schema;
  /** What the writers of the table get. */
  readonly layout: OperationLayout;
  /** Tells deletes from upserts. */
  readonly deletes: RowMatcher | undefined;
}

/**
 * Compares the settings of a merge with the columns of the stream. Throws `MERGE_INVALID` or
 * `FILTER_INVALID`.
 */
export function planMerge(settings: MergeStream, source: Schema, where: ErrorLocation): MergePlan {
  const { keys, sequenceBy, exceptColumns, applyAsDeletes, storedAsScdType } = settings;
  checkNames(settings, source, where);
  checkComparable(source, "keys", keys, where);
  checkComparable(source, "sequenceBy", sequenceBy, where);
  const columns = (names: readonly string[]) => source.fields.filter(({ name }) => names.includes(name));
  const notNull = (field: Field) => field.clone({ nullable: false });
  const keyFields = keys.flatMap((key) => columns([key])).map(notNull);
  const sequences = sequenceBy.flatMap((name) => columns([name])).map(notNull);
  const stored = new Schema(
    source.fields
      .filter(({ name }) => !exceptColumns.includes(name))
      .map((field) => keyFields.find(({ name }) => name === field.name) ?? field),
  );
  const sequence = new Field(ADDED.sequence, new Binary(), false);
  const start = storedAsScdType === 2 ? sequences.map((field) => field.clone({ name: START })) : [];
  const metadata = new Schema([sequence, ...start, ...sequences]);
  const ids = new Schema(keyFields);
  const changes = new Schema([
    ...source.fields.filter(({ name }) => !exceptColumns.includes(name) || sequenceBy.includes(name)),
    new Field(ADDED.operation, new Int8(), false),
    sequence,
    new Field(ADDED.partition, new Int32(), false),
    new Field(ADDED.row, new Int64(), false),
  ]);
  return {
    settings,
    source,
    stored,
    keys: ids,
    metadata,
    changes,
    layout: new OperationLayout({ row: stored, id: ids, metadata }),
    deletes: applyAsDeletes === undefined ? undefined : matcherOf(source, [applyAsDeletes]),
  };
}

function checkNames(settings: MergeStream, { fields }: Schema, where: ErrorLocation): void {
  const { keys, sequenceBy, exceptColumns, storedAsScdType } = settings;
  const names = fields.map(({ name }) => name);
  for (const [option, given] of Object.entries({ keys, sequenceBy, exceptColumns })) {
    const unknown = given.find((name) => !names.includes(name));
    if (unknown === undefined) continue;
    const problem = `${option} names the column "${unknown}", which the rows lack${suggest(unknown, names)}`;
    throw invalid(problem, where, "Name columns of the stream.");
  }
  const added = [...Object.values(ADDED), START, ...(storedAsScdType === 2 ? INTERVAL : [])];
  const taken = names.find((name) => added.includes(name));
  if (taken !== undefined) {
    const problem = `the rows have the column "${taken}", which a merge adds`;
    throw invalid(problem, where, "Give the column another name where the stream is read.");
  }
  if (storedAsScdType === 2 && sequenceBy.length > 1) {
    const problem = "storedAsScdType is 2, and sequenceBy has several columns";
    throw invalid(problem, where, "Name one column: its values become __START_AT and __END_AT.");
  }
}

function checkComparable(
  schema: Schema,
  option: string,
  names: readonly string[],
  where: ErrorLocation,
): void {
  try {
    checkOrdering(
      schema,
      names.map((name) => asc(name)),
    );
  } catch (error) {
    if (!MillraceError.is(error)) throw error;
    throw invalid(`${option} has a column that cannot be compared: ${error.message}`, where, error.hint);
  }
}

function invalid(problem: string, where: ErrorLocation, hint?: string): MillraceError {
  return new MillraceError("MERGE_INVALID", problem, {
    where,
    hint: `Nothing was read or written. ${hint ?? ""}`.trim(),
  });
}
