import type { Schema } from "apache-arrow";
import { recordBatchOf } from "../../arrow/record-batches.ts";
import { type ErrorLocation, MillraceError, toMillraceError } from "../../contract/errors.ts";
import type { OnBadRow, Origin, Stepped } from "./origin.ts";

/** What steps use of the task in which they run. */
export interface StepTask {
  /** The location that errors contain. */
  readonly where: ErrorLocation;
  readonly signal?: AbortSignal;
  /** Takes a row for which a step fails. Without it, its error fails the task. */
  readonly onBadRow?: OnBadRow;
  /** Called for each row or record batch that a step takes. */
  onMove?(): void;
}

/** A step whose parts fit the rows before it. */
export interface CompiledStep {
  /** The schema of the rows after the step. */
  readonly schema: Schema;
  apply(input: AsyncIterable<Stepped>, task: StepTask): AsyncGenerator<Stepped>;
}

/** What all steps of a kind know of themselves. */
export interface StepPlace {
  /** Number and name, such as `2 map(clean)`. */
  readonly name: string;
  /** Number of steps before this one. */
  readonly index: number;
  /** The schema of the rows before the step. */
  readonly input: Schema;
}

/** Returns the error of a function that threw. `rows` says for what, such as `row 7`. */
export function stepFailed(
  { name }: StepPlace,
  thrown: unknown,
  rows: string,
  where: ErrorLocation,
  isAsync: boolean,
): MillraceError {
  const at = { ...where, step: name };
  return toMillraceError(thrown, "STEP_FAILED", `${rows}: step ${name} failed`, at, isAsync);
}

/** The one place where the row of a step fails: passes it on, or throws its error. */
export function rowFailed(task: StepTask, origin: Origin, row: number, error: MillraceError): void {
  if (task.onBadRow === undefined) throw error;
  task.onBadRow(origin.badRow(row, error));
}

export function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

/**
 * Throws `STEP_INVALID` if rows of the schema cannot be made of values, because the schema has an
 * Arrow type that only record batches can have.
 */
export function checkBuildable(schema: Schema, { name }: StepPlace, where: ErrorLocation): void {
  try {
    recordBatchOf(schema, []);
  } catch (error) {
    if (!MillraceError.is(error)) throw error;
    throw invalidStep(
      name,
      error.message,
      "Leave the column out by .select(), or write .mapBatches(), which returns record batches.",
      where,
    );
  }
}

export function invalidStep(
  name: string,
  problem: string,
  hint: string,
  where: ErrorLocation,
): MillraceError {
  return new MillraceError("STEP_INVALID", `step ${name}: ${problem}`, {
    where: { ...where, step: name },
    hint,
  });
}
