import type { CommandOp, Op, UnsupportedOp } from "./op.ts";
import type { Run, Step } from "./trace.ts";

/** A table that a statement which is left out has removed. */
export interface Gone {
  readonly kind: "gone";
  readonly table: string;
}

export const isStep = (step: Step | Gone): step is Step => step.kind !== "gone";

/**
 * Leaves out the statements that a driver without Spark lacks. What follows one that succeeded is
 * left out, too, until its table is given anew.
 */
export function replayable(steps: readonly Step[]): {
  readonly kept: readonly (Step | Gone)[];
  readonly leftOut: readonly string[];
} {
  const scope = new Scope();
  const kept = steps.flatMap((step) => scope.take(step));
  return { kept, leftOut: scope.leftOut };
}

class Scope {
  readonly leftOut: string[] = [];
  /** Tables of which nobody knows what they hold. */
  readonly #unknown = new Set<string>();
  /** Whether the stream that a stop would stop is left out. */
  #isStreamLeftOut = false;

  take(step: Step): readonly (Step | Gone)[] {
    if (step.kind === "given") this.#unknown.delete(step.op.table);
    if (step.kind === "run") return this.#takeRun(step);
    const table = step.kind === "rows" ? step.table : tableOf(step.op);
    return this.#isUnknown(table) ? [] : [step];
  }

  #takeRun(run: Run): readonly (Step | Gone)[] {
    const { op } = run;
    if (op.kind === "unsupported") return this.#leaveOut(run, op);
    if (hasNoForm(op)) return this.#leaveOut(run, { kind: "unsupported", why: NO_FORM, op });
    if (op.kind === "stop") return this.#isStreamLeftOut ? [] : [run];
    const isLeftOut = this.#isUnknown(tableOf(op));
    if (op.kind === "stream") this.#isStreamLeftOut = isLeftOut;
    return isLeftOut ? [] : [run];
  }

  #isUnknown(table: string | undefined): boolean {
    return table !== undefined && this.#unknown.has(table);
  }

  #leaveOut(run: Run, { why, op }: UnsupportedOp): readonly Gone[] {
    this.leftOut.push(why);
    if (op.kind === "stream") this.#isStreamLeftOut = true;
    if (run.end?.failed !== true) this.#unknown.add(op.table);
    else if (isGone(run, op)) return [{ kind: "gone", table: op.table }];
    return [];
  }
}

const NO_FORM = "a condition with no form as a predicate";

/** Millrace has no conditions of chance or of a subquery. */
function hasNoForm(op: Op): op is CommandOp {
  return (
    (op.kind === "delete" || op.kind === "update" || op.kind === "merge") &&
    /\["(?:rand|in_subquery)"/.test(JSON.stringify(op))
  );
}

function tableOf(op: Op): string | undefined {
  return "table" in op ? op.table : undefined;
}

/** A create or a replace without staging that failed while writing has dropped the table. */
function isGone({ driver }: Run, op: UnsupportedOp["op"]): boolean {
  const isStaged = "catalog" in op && op.catalog === "staging";
  return !isStaged && driver.some(({ call }) => call === "TableCatalog.createTable");
}
