import { parseDuration } from "./duration.ts";
import { MillraceError } from "./errors.ts";
import type { Filter } from "./filters.ts";
import { isPlainObject } from "./json.ts";
import { checkCondition } from "./save-mode.ts";
import { suggest } from "./suggest.ts";
import type { ScdType } from "./write/auto-cdc.ts";
import { predicatesOf } from "./write/convert-filters.ts";
import { type Predicate, predicate } from "./write/predicates.ts";

/**
 * How a stream of changes is merged into a table, in the words of Spark's AUTO CDC. The rows of the
 * stream are changes: the newest one of each key says what the table has of it.
 */
export interface MergeStreamOptions {
  /** The columns that identify a row. They must not be null. */
  readonly keys: readonly string[];
  /**
   * The columns that order the changes of a key, compared one after the other. They must not be
   * null. A change only takes effect if it comes after the last one of its key.
   */
  readonly sequenceBy: string | readonly string[];
  /** Which changes delete the row of their key. Default: none. */
  readonly applyAsDeletes?: Filter | Predicate;
  /** The columns of the stream that are not stored. Default: none. */
  readonly exceptColumns?: readonly string[];
  /** 1, the default: the newest state of a key. 2: all its states, with their times. */
  readonly storedAsScdType?: ScdType;
  /**
   * How long the sequence of a deleted key is kept, so that a late older change does not bring the
   * row back: a duration. Default `"7 days"`.
   */
  readonly tombstonesKept?: string;
  /**
   * What happens if two different changes of a key have one sequence. `fail`, the default, refuses
   * the batch. `first` keeps the change that came first.
   */
  readonly onEqualSequence?: "fail" | "first";
}

/** The checked settings of a merge of a stream. */
export interface MergeStream {
  /** The columns that identify a row. */
  readonly keys: readonly string[];
  /** The columns that order the changes of a key. */
  readonly sequenceBy: readonly string[];
  /** Which changes delete the row of their key. Absent: none. */
  readonly applyAsDeletes?: Predicate;
  /** The columns that are not stored. */
  readonly exceptColumns: readonly string[];
  /** How the changes of a key are kept. */
  readonly storedAsScdType: ScdType;
  /** How long the sequence of a deleted key is kept, in milliseconds. */
  readonly tombstonesKeptMilliseconds: number;
  /** What happens if two different changes of a key have one sequence. */
  readonly onEqualSequence: "fail" | "first";
}

const OPTION_NAMES: ReadonlySet<string> = new Set<keyof MergeStreamOptions>([
  "keys",
  "sequenceBy",
  "applyAsDeletes",
  "exceptColumns",
  "storedAsScdType",
  "tombstonesKept",
  "onEqualSequence",
]);

/** Returns the checked settings. Throws `MERGE_INVALID`, `FILTER_INVALID` or `DURATION_INVALID`. */
export function checkMergeStream(options: MergeStreamOptions): MergeStream {
  if (!isPlainObject(options)) throw invalid("merge() needs an object");
  const unknown = Object.keys(options).find((name) => !OPTION_NAMES.has(name));
  if (unknown !== undefined)
    throw invalid(`merge() has no option ${unknown}${suggest(unknown, [...OPTION_NAMES])}`);
  const { applyAsDeletes, exceptColumns = [], storedAsScdType = 1, onEqualSequence = "fail" } = options;
  const keys = namesOf(options.keys, "keys");
  const sequenceBy = namesOf(
    typeof options.sequenceBy === "string" ? [options.sequenceBy] : options.sequenceBy,
    "sequenceBy",
  );
  const except = exceptColumns.length === 0 ? [] : namesOf(exceptColumns, "exceptColumns");
  const lost = keys.find((key) => except.includes(key));
  if (lost !== undefined) throw invalid(`the key ${lost} is one of exceptColumns, but keys are stored`);
  if (storedAsScdType !== 1 && storedAsScdType !== 2) throw invalid("storedAsScdType is neither 1 nor 2");
  if (onEqualSequence !== "fail" && onEqualSequence !== "first")
    throw invalid('onEqualSequence is neither "fail" nor "first"');
  const condition = applyAsDeletes === undefined ? undefined : checkCondition(applyAsDeletes);
  return {
    keys,
    sequenceBy,
    exceptColumns: except,
    storedAsScdType,
    onEqualSequence,
    tombstonesKeptMilliseconds: parseDuration(options.tombstonesKept ?? "7 days"),
    ...(condition === undefined ? {} : { applyAsDeletes: conditionOf(condition) }),
  };
}

function namesOf(value: unknown, option: string): readonly string[] {
  const names = Array.isArray(value) ? (value as readonly unknown[]) : [];
  const isValid = names.every((name): name is string => typeof name === "string" && name !== "");
  if (names.length === 0 || !isValid) throw invalid(`${option} needs names of columns`);
  if (new Set(names).size < names.length) throw invalid(`${option} names a column twice`);
  return names;
}

/** Several predicates that must all hold are one. */
function conditionOf(condition: Filter | Predicate): Predicate {
  return predicatesOf(condition).reduce((all, one) => predicate("AND", all, one));
}

function invalid(problem: string): MillraceError {
  return new MillraceError("MERGE_INVALID", problem, {
    hint: 'Write .merge({ keys: ["id"], sequenceBy: "updated_at" }). Guide: docs/merge.md.',
  });
}
