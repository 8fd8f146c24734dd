import type { SaveMode } from "./batch-writer.ts";
import { MillraceError } from "./errors.ts";
import { checkFilter, type Filter } from "./filters.ts";
import { isPlainObject } from "./json.ts";
import type { RowCommand } from "./row-command.ts";
import { checkPredicate } from "./write/check-predicate.ts";
import type { Predicate } from "./write/predicates.ts";

/**
 * Which rows an overwrite replaces: those that match a condition, or the partitions of the table
 * that occur in the new rows.
 */
export type Overwrite =
  | { readonly replaces: "matching"; readonly condition: Filter | Predicate }
  | { readonly replaces: "partitions" };

/**
 * What each batch of a stream does with the rows that the sink has. `append` adds rows, `complete`
 * replaces all rows. (Spark: `DataStreamWriter.outputMode`.)
 */
export type OutputMode = "append" | "complete";

const SAVE_MODES: ReadonlySet<string> = new Set<SaveMode>(["append", "overwrite", "errorifexists", "ignore"]);

/** Returns the save mode of this name, ignoring case. Throws `SAVE_MODE_INVALID`. */
export function checkSaveMode(mode: string): SaveMode {
  const lower = String(mode).toLowerCase();
  const saveMode = lower === "error" || lower === "default" ? "errorifexists" : lower;
  if (SAVE_MODES.has(saveMode)) return saveMode as SaveMode;
  throw new MillraceError("SAVE_MODE_INVALID", `"${mode}" is no save mode`, {
    hint: `Write .mode("append"), or one of ${[...SAVE_MODES].slice(1).join(", ")}.`,
  });
}

/** Returns `condition` if it is a filter or a predicate. Throws `FILTER_INVALID`. */
export function checkCondition(condition: unknown): Filter | Predicate {
  const isPredicate = isPlainObject(condition) && condition["kind"] === "predicate";
  return isPredicate ? checkPredicate(condition) : checkFilter(condition);
}

/** The settings of a batch pipeline that say which rows of the target stay. */
export interface Disposal {
  readonly name: string;
  readonly saveMode?: SaveMode;
  readonly overwrites?: Overwrite;
  /** Present if the pipeline changes rows of a table: it writes no rows of a source. */
  readonly command?: RowCommand;
}

/**
 * Throws `SAVE_MODE_INVALID` if the pipeline changes rows of a table, or overwrites a part of its
 * target already, or if the
 * verb asks for a part and another mode than the default was set. Otherwise one of two
 * contradictory verbs would have no effect.
 */
export function refuseSecondVerb({ name, saveMode, overwrites, command }: Disposal, verb: string): void {
  if (command !== undefined)
    throw new MillraceError("SAVE_MODE_INVALID", `pipeline "${name}" has a command and ${verb}`, {
      where: { pipeline: name },
      hint: "Remove the verb: the command alone says which rows of the table change.",
    });
  const isPartial = verb.startsWith(".overwrite");
  const first =
    overwrites === undefined
      ? `.mode("${saveMode}")`
      : overwrites.replaces === "partitions"
        ? ".overwritePartitions()"
        : ".overwrite(condition)";
  if (overwrites === undefined && !(isPartial && saveMode !== "errorifexists")) return;
  throw new MillraceError("SAVE_MODE_INVALID", `pipeline "${name}" has ${first} and ${verb}`, {
    where: { pipeline: name },
    hint: "Keep one of the two: each of them says alone which rows of the target stay.",
  });
}

/** Returns the output mode of this name, ignoring case. Throws `OUTPUT_MODE_INVALID`. */
export function checkOutputMode(mode: string): OutputMode {
  const lower = String(mode).toLowerCase();
  if (lower === "append" || lower === "complete") return lower;
  const isUpdate = lower === "update";
  throw new MillraceError(
    "OUTPUT_MODE_INVALID",
    isUpdate ? "the output mode update is not supported" : `"${mode}" is no output mode`,
    {
      hint: isUpdate
        ? 'As in Spark, only sinks of Spark itself know it. Write .outputMode("append"), and have the sink write by key.'
        : 'Write .outputMode("append") or .outputMode("complete").',
    },
  );
}
