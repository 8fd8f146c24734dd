import type { Call } from "../../trace.ts";
import { isOfChain, isRaise, isRequirement } from "../calls.ts";
import type { BatchWriteOp, CommandOp, StreamOp } from "../op.ts";
import type { Run, Step } from "../trace.ts";

/** The driver's calls for one batch: those up to the factory of the writers, and the others. */
export interface Section {
  readonly chain: readonly Call[];
  readonly rest: readonly Call[];
}

/** Cuts the driver's calls of a statement into those of its batches. */
export function sectionsOf({ driver }: Run): readonly Section[] {
  const starts = driver.flatMap(({ call }, i) => (call === "Table.newWriteBuilder" ? [i] : []));
  return starts.map((start, i) => {
    const calls = driver.slice(start, starts[i + 1]);
    const end = calls.findIndex((call) => !isOfChain(call));
    return end < 0 ? { chain: calls, rest: [] } : { chain: calls.slice(0, end), rest: calls.slice(end) };
  });
}

/** Puts the driver's calls of a statement together again. */
export function joined(sections: readonly Section[]): Call[] {
  return sections.flatMap(({ chain, rest }) => [...chain, ...rest]);
}

/** True if tasks followed the chain: it is whole, and nothing in it threw. */
export function isWhole({ chain }: Section): boolean {
  return chain.some(isCoordinatorQuestion) && !chain.some(isRaise);
}

/** What each step repeats of a chain: all but the question that only planning asks. */
export function repeatedChain({ chain }: Section): readonly Call[] {
  const point = /(?:^|in )\w+\.useCommitCoordinator$/;
  return chain.filter((call) => !point.test(call.call) && !isRequirement(call));
}

function isCoordinatorQuestion({ call }: Call): boolean {
  return call.endsWith(".useCommitCoordinator");
}

export type WriteRun = Run & { readonly op: BatchWriteOp | StreamOp };

export type CommandRun = Run & { readonly op: CommandOp };

/** The statements that change rows of a table. */
export function commandRuns(steps: readonly Step[]): readonly CommandRun[] {
  return steps.filter(
    (step): step is CommandRun => step.kind === "run" && ["delete", "update", "merge"].includes(step.op.kind),
  );
}

/** The statements that write a batch or a stream. */
export function writeRuns(steps: readonly Step[]): readonly WriteRun[] {
  return steps.filter(
    (step): step is WriteRun =>
      step.kind === "run" && (step.op.kind === "batchWrite" || step.op.kind === "stream"),
  );
}

/** Calls `change` for each item. Returns true if any had the difference. */
export function changeEach<T>(items: readonly T[], change: (item: T, index: number) => boolean): boolean {
  return items.map(change).includes(true);
}
