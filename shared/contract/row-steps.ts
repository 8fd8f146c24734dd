import { MillraceError } from "./errors.ts";
import type { Filter } from "./filters.ts";
import { isPlainObject, kindOf } from "./json.ts";
import type { SchemaLike } from "./schema-like.ts";

/** A function of a row. Only the methods of `Source` know the types of the rows. */
export type RowFunction = (row: never) => unknown;

/** A change to the rows between source and sink. Steps run in the order of the methods. */
export type RowStep =
  /** `.map(fn, schema?)` and `.flatMap(fn, schema?)`. Without a schema the columns stay. */
  | { readonly kind: "map"; readonly fn: RowFunction; readonly schema?: SchemaLike }
  | { readonly kind: "flatMap"; readonly fn: RowFunction; readonly schema?: SchemaLike }
  /** `.filter(fn)` */
  | { readonly kind: "filter"; readonly fn: RowFunction }
  /** `.filter(...filters)` of a stream, or after another step. */
  | { readonly kind: "where"; readonly filters: readonly Filter[] }
  /** `.select(...columns)` */
  | { readonly kind: "select"; readonly columns: readonly string[] }
  /** `.withColumns(columns, schema?)`. `schema` has the types of columns that are new. */
  | {
      readonly kind: "withColumns";
      readonly columns: Readonly<Record<string, RowFunction>>;
      readonly schema?: SchemaLike;
    }
  /** `.mapBatches(fn, schema?)` */
  | { readonly kind: "mapBatches"; readonly fn: RowFunction; readonly schema?: SchemaLike };

/** Returns the name of a step for messages: `2 map(clean)` is the second step. */
export function nameOfStep(step: RowStep, index: number): string {
  const named = "fn" in step && step.fn.name !== "" && step.fn.name !== "fn" ? `(${step.fn.name})` : "";
  return `${index + 1} ${step.kind === "where" ? "filter" : step.kind}${named}`;
}

/** Returns the step if its parts are what they should be. Throws `STEP_INVALID`. */
export function checkStep(step: RowStep): RowStep {
  const method = `.${step.kind}`;
  if ("fn" in step && typeof step.fn !== "function")
    throw invalid(`${method}() needs a function, but got ${kindOf(step.fn)}`, `Write ${method}((row) => …).`);
  if (step.kind === "select") checkSelect(step.columns);
  if (step.kind === "withColumns") checkColumns(step.columns);
  return step;
}

function checkSelect(columns: readonly unknown[]): void {
  const hint = 'Write .select("id", "name").';
  if (columns.length === 0) throw invalid(".select() has no columns", hint);
  const wrong = columns.find((column) => typeof column !== "string" || column === "");
  if (wrong !== undefined) throw invalid(`.select() needs names of columns, but got ${kindOf(wrong)}`, hint);
  const twice = columns.find((column, i) => columns.indexOf(column) !== i);
  if (twice !== undefined) throw invalid(`.select() names the column "${String(twice)}" twice`, hint);
}

function checkColumns(columns: unknown): void {
  const hint = 'Write .withColumns({ total: (row) => row.price * 2 }, "total double").';
  if (!isPlainObject(columns) || Object.keys(columns).length === 0)
    throw invalid(".withColumns() needs an object with a function for each column", hint);
  for (const [name, fn] of Object.entries(columns)) {
    if (typeof fn === "function") continue;
    throw invalid(`.withColumns() needs a function for "${name}", but got ${kindOf(fn)}`, hint);
  }
}

/** The error of a call that would act on rows as they are after the steps, but comes before one. */
export function outOfOrder(method: string, before: string): MillraceError {
  return invalid(
    `${method} comes after ${before}`,
    `Steps run in the order in which they are written: write ${method} before ${before}.`,
  );
}

function invalid(problem: string, hint: string): MillraceError {
  return new MillraceError("STEP_INVALID", problem, { hint });
}
