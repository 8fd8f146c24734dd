import type { Call } from "../../trace.ts";
import { isOfChain } from "../calls.ts";
import type { Attempt } from "../trace.ts";
import type { WriteRewrite } from "./rewrite.ts";
import { type CommandRun, changeEach, commandRuns } from "./sections.ts";

/** Rewrites of statements that change rows. */

const is =
  (...names: readonly string[]) =>
  ({ call }: Call): boolean =>
    names.includes(call.replace(/^!! \w+ in /, ""));

const isPlanning = is("Batch.planInputPartitions", "Scan.filter");
const isDeletion = ({ call }: Call): boolean => /^Table\.(?:deleteWhere|truncateTable)/.test(call);
const isMetrics = is("Table.supportedCustomMetrics");
const isNewWrite = is("RowLevelOperation.newWriteBuilder", "Table.newWriteBuilder");
const isFactory = is("BatchWrite.createBatchWriterFactory", "BatchWrite.useCommitCoordinator");
/** Only the step that plans makes these calls. */
const isAskedOnce = is("Table.canDeleteWhere", "BatchWrite.useCommitCoordinator");
const isRequirement = ({ call }: Call): boolean => /^Write\.(?:required|advisory|distribution)/.test(call);

export const commandSteps: WriteRewrite = {
  id: "command-steps",
  reason:
    "docs/spark-differences.md, Tables: a command runs in the steps of a batch. The scan is planned before the write is made, because its partitions are recorded with the plan; each step makes the operation, the scan and the write anew. Where tasks exchange rows, the factory is made when the last stage is planned. What the table deletes by itself is the commit of a batch without rows.",
  rewrite(steps) {
    return changeEach(commandRuns(steps), (run) => {
      if (run.driver.some(isNewWrite)) return rewriteRows(run);
      return run.driver.some(isDeletion) ? rewriteDeletion(run) : false;
    });
  },
};

/** One task without rows runs, and each step asks the table for its metrics. */
function rewriteDeletion(run: CommandRun): boolean {
  const metrics = run.driver.filter(isMetrics);
  const first = run.driver.findIndex((call) => isDeletion(call) || isMetrics(call));
  run.driver = [...run.driver.slice(0, first), ...metrics, ...run.driver.slice(first)];
  run.attempts = [attemptOf(metrics)];
  return true;
}

function rewriteRows(run: CommandRun): boolean {
  const { driver } = run;
  const at = driver.findIndex(isNewWrite);
  const end = driver.findIndex(
    (call, i) => i >= at && !isOfChain(call) && !isPlanning(call) && !isRequirement(call),
  );
  const chain = driver.slice(at, end < 0 ? driver.length : end);
  const rest = end < 0 ? [] : driver.slice(end);
  const before = driver.slice(0, at);
  const write = chain.filter((call) => !isPlanning(call));
  const repeated = [...before, ...write].filter((call) => !isAskedOnce(call) && !isRequirement(call));
  const planned = [...before, ...chain.filter(isPlanning), ...write];
  const exchanges = exchangesOf(run, chain);
  const stages = Array.from({ length: exchanges }, (_, i) =>
    i === exchanges - 1
      ? [...repeated, ...write.filter(is("BatchWrite.useCommitCoordinator"))]
      : repeated.filter((call) => !isFactory(call)),
  );
  const planning = exchanges === 0 ? planned : planned.filter((call) => !isFactory(call));
  const finalizing = rest.length === 0 ? [] : [...repeated, ...rest];
  run.driver = structuredClone([...planning, ...stages.flat(), ...finalizing]);
  for (const attempt of run.attempts) attempt.calls.unshift(...structuredClone(repeated));
  if (exchanges > 0) run.attempts.push(attemptOf(repeated.filter((call) => !isFactory(call))));
  return true;
}

/** The rows of both sides of a merge meet, and a write may require a distribution. */
function exchangesOf({ op }: CommandRun, chain: readonly Call[]): number {
  const required = chain.find(is("Write.requiredDistribution"));
  const isRequired = required !== undefined && required.args["returns"] !== "unspecified";
  return (op.kind === "merge" ? 1 : 0) + (isRequired ? 1 : 0);
}

function attemptOf(calls: readonly Call[]): Attempt {
  return { epoch: 0, partition: 0, attempt: 0, calls: structuredClone([...calls]) };
}
