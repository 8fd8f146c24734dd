import type { JsonValue } from "../../../../shared/contract/json.ts";
import type { Call } from "../../trace.ts";
import { isAbort, isCommit, isOnCommit, isRaise, isRequirement, messageOf, messagesOf } from "../calls.ts";
import type { Run } from "../trace.ts";
import type { WriteRewrite } from "./rewrite.ts";
import {
  changeEach,
  commandRuns,
  isWhole,
  joined,
  repeatedChain,
  type Section,
  sectionsOf,
  writeRuns,
} from "./sections.ts";

/** Rewrites that follow from steps in processes of their own. */

const POINT = "BatchWrite.onDataWriterCommit";
const isTold = (call: Call): boolean => isOnCommit(call) || call.call.endsWith(` in ${POINT}`);

export const toldInFinalize: WriteRewrite = {
  id: "told-in-finalize",
  reason:
    "docs/spark-differences.md, Tables: `onDataWriterCommit` is called when all tasks have ended, in partition order, in the process that commits or aborts afterwards. Spark calls it whenever a message arrives, also after an abort.",
  rewrite(steps) {
    const runs: readonly Run[] = [...writeRuns(steps), ...commandRuns(steps)];
    return changeEach(runs, (run) => {
      const before = JSON.stringify(run.driver);
      const at = run.driver.findIndex((call) => isCommit(call) || isAbort(call));
      const ended = run.driver[at];
      if (run.op.kind === "stream" || ended === undefined) return false;
      const told = toldInOrder(run);
      const others = run.driver.filter((call) => !isTold(call));
      const end = others.indexOf(ended);
      // All tasks have ended before the first of them is told of.
      const isRefused = told.some(isRaise);
      const changed = isRefused ? { ...ended, args: { messages: allMessages(run, ended) } } : ended;
      run.driver = [...others.slice(0, end), ...told, changed, ...others.slice(end + 1)];
      return JSON.stringify(run.driver) !== before;
    });
  },
};

/** Returns the calls in partition order, up to the first that throws. */
function toldInOrder({ driver }: Run): Call[] {
  const groups = driver.flatMap((call, i) => (isOnCommit(call) ? [groupAt(driver, i)] : []));
  const partitionOf = ([told]: readonly Call[]) =>
    (told?.args["message"] as { readonly partition?: number } | null)?.partition ?? 0;
  const told = groups.toSorted((a, b) => partitionOf(a) - partitionOf(b));
  const refused = told.findIndex((group) => group.some(isRaise));
  return (refused < 0 ? told : told.slice(0, refused + 1)).flat();
}

/** The call and the faults in it. */
function groupAt(driver: readonly Call[], start: number): readonly Call[] {
  const end = driver.findIndex((call, i) => i > start && (!isTold(call) || isOnCommit(call)));
  return driver.slice(start, end < 0 ? driver.length : end);
}

/** Returns the messages of an abort that waits for all tasks. */
function allMessages({ attempts }: Run, abort: Call): JsonValue[] {
  return messagesOf(abort).map((known, partition) => {
    const finished = attempts.filter((attempt) => attempt.partition === partition).map(messageOf);
    return known ?? finished.find((message) => message !== null) ?? null;
  });
}

export const chainRepeated: WriteRewrite = {
  id: "chain-repeated",
  reason:
    "docs/spark-differences.md, Tables: Spark makes the write of a batch once, keeps it on the driver, and ships its factory. Here planning, each task attempt and the commit are processes of their own, which make the same calls with the same LogicalWriteInfo.",
  rewrite(steps) {
    return changeEach(writeRuns(steps), (run) => {
      const sections = sectionsOf(run);
      const whole = sections.filter(isWhole);
      if (whole.length === 0) return false;
      const epochs = [...new Set(run.attempts.map(({ epoch }) => epoch))].sort((a, b) => a - b);
      for (const [i, section] of whole.entries()) {
        for (const attempt of run.attempts)
          if (attempt.epoch === epochs[i]) attempt.calls.unshift(...structuredClone(repeatedChain(section)));
      }
      run.driver = joined(sections.map((section) => (isWhole(section) ? finalized(section) : section)));
      return true;
    });
  },
};

/** Nothing follows in a run that is stopped before the commit. */
function finalized(section: Section): Section {
  const { chain, rest } = section;
  return rest.length === 0 ? section : { chain: [...chain, ...repeatedChain(section)], rest };
}

const FACTORY = /(?:^|in )\w+\.(?:create\w+WriterFactory|useCommitCoordinator)$/;

export const exchangedFirst: WriteRewrite = {
  id: "exchanged-first",
  reason:
    "docs/spark-differences.md, Tables: tasks that exchange rows are a stage of their own. The factory of the writers is made when they have ended, in another process than the one that asked what the write requires, so that process makes the write anew.",
  rewrite(steps) {
    return changeEach(writeRuns(steps), (run) => {
      const sections = sectionsOf(run);
      if (!sections.some(isExchanged)) return false;
      run.driver = joined(sections.map((section) => (isExchanged(section) ? inTwoSteps(section) : section)));
      return true;
    });
  },
};

/** True if the write was made, and required a distribution. */
function isExchanged({ chain }: Section): boolean {
  const isRequired = chain.some(
    ({ call, args }) => call === "Write.requiredDistribution" && args["returns"] !== "unspecified",
  );
  return isRequired && chain.some(({ call }) => FACTORY.test(call));
}

function inTwoSteps({ chain, rest }: Section): Section {
  const planning = chain.filter(({ call }) => !FACTORY.test(call));
  return { chain: [...planning, ...chain.filter((call) => !isRequirement(call))], rest };
}

export const v1Staged: WriteRewrite = {
  id: "v-one-staged",
  reason:
    "docs/spark-differences.md, Tables: the rows of a `V1Write` are staged by tasks in the pipeline's store, so that a crash loses none, and inserted in the step that commits. Each of these steps makes the write anew. Spark inserts on the driver, from the query itself.",
  rewrite(steps) {
    return changeEach(writeRuns(steps), (run) => {
      const [section] = sectionsOf(run);
      if (run.op.kind !== "batchWrite" || section === undefined) return false;
      if (section.rest[0]?.call !== "V1Write.toInsertableRelation") return false;
      const { chain } = section;
      const tasks = Math.max(1, run.op.rows.partitions.length);
      run.attempts = Array.from({ length: tasks }, (_, partition) => ({
        epoch: 0,
        partition,
        attempt: 0,
        calls: [...chain],
      }));
      run.driver = [...chain, ...run.driver];
      return true;
    });
  },
};
