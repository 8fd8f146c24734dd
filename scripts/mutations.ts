import { parseArgs } from "node:util";
import { runCase } from "../test/faults/cases.ts";
import { type Edit, type Harness, mutatedHarness } from "../test/faults/mutate.ts";
import { type CaseName, NAMED_CASES } from "../test/faults/named-cases.ts";
import { searchCase } from "../test/faults/search.ts";

/**
 * `npm run test:mutations [-- --only TEXT]`: removes each rule of the protocol from the engine, one
 * at a time. Without the rule, the case that is named for it must fail with the expected violation.
 * `-- --search [--only TEXT] [--shows TEXT] [--seed N]` searches for such a case, and prints it in
 * the form of test/faults/named-cases.ts.
 */

export interface Mutation {
  /** Number of the rule in docs/protocol.md, or `mistake` if the rules do not mention it. */
  readonly rule: string;
  readonly what: string;
  readonly caughtBy: CaseName;
  /** Part of the text of the violation that this case shows. */
  readonly shows: string;
  readonly edits: readonly Edit[];
}

const SQLITE = "shared/platform/embedded/sqlite-ledger.ts";
const TRANSITIONS = "shared/engine/ports/transitions.ts";
const PLAN = "shared/engine/plan.ts";
const WRITE = "shared/engine/write/task.ts";
const FINALIZE = "shared/engine/finalize.ts";
const SINK = "shared/connectors/arrow-table/writer.ts";

export const MUTATIONS: readonly Mutation[] = [
  {
    rule: "1",
    what: "no transition checks the epoch",
    caughtBy: "a batch that is recorded when a vacuum has removed its plan, and a dead run holds the lease",
    shows: "runs without faults do not come to an end",
    edits: [
      {
        file: TRANSITIONS,
        find: "head: { where: [{ epoch: equal(fence.epoch), ...where }], set },",
        replace: "head: { where: [where], set },",
      },
    ],
  },
  {
    rule: "2",
    what: "tasks ask the source for its partitions, not the record",
    // This run has no fault, but the source divides the batch in another way each time it plans.
    caughtBy: "a run without a fault",
    shows: "rows are lost",
    edits: [
      {
        file: WRITE,
        find: "const planned = await readPartitionsFile(ports.store, run.partitionsKey);",
        replace: `await readPartitionsFile(ports.store, run.partitionsKey);
  const recorded = await ports.ledger.batch(run.pipeline, run.batchId);
  const planner = await sessions.source.planner();
  const partitions = await planner.partitions(recorded?.start ?? {}, recorded?.end ?? {});
  const planned = { schema: await sessions.source.schema(), partitions };`,
      },
    ],
  },
  {
    rule: "3",
    what: "a later attempt of a task replaces the first",
    caughtBy: "a task that is recorded after the next run has committed the batch and died",
    shows: "a commit was asked for again with other messages",
    edits: [
      {
        file: SQLITE,
        find: "$recorded_at, $task) ON CONFLICT DO NOTHING",
        replace: "$recorded_at, $task) ON CONFLICT DO UPDATE SET task = excluded.task",
      },
    ],
  },
  {
    rule: "4",
    what: "whoever comes later decides again",
    caughtBy: "a finalizer that decides after its own retry has committed the batch",
    shows: "a committed batch has changed its state",
    edits: [
      {
        file: TRANSITIONS,
        find: "where: [{ attempt: equal(attempt), state: equal(state) }],",
        replace: "where: [{ attempt: equal(attempt) }],",
      },
    ],
  },
  {
    rule: "5",
    what: "the offset moves with the decision, before the sink's commit",
    caughtBy: "a run that is killed between its decision to commit and the sink's commit",
    shows: "rows are lost",
    edits: [
      {
        file: TRANSITIONS,
        find: `...optional("error", error),
    },
  });`,
        replace: `...optional("error", error),
    },
  }, to === "committing" ? { offset: batch.end, openBatchId: undefined } : {});`,
      },
    ],
  },
  {
    rule: "6",
    what: "the name of a staged file says batch and partition only",
    caughtBy: "a task that sleeps before it stages its rows, while another run commits the batch",
    shows: "a file that a commit names was deleted",
    edits: [
      {
        file: "shared/connectors/kit/staging.ts",
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source code
        find: "${task.attempt}-${task.attemptNumber}-${id}.arrow",
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source code
        replace: "1-0-${id.slice(0, 1)}.arrow",
      },
    ],
  },
  {
    rule: "7",
    what: "a batch that is resumed runs all of its tasks again",
    caughtBy: "a run that is killed when two of its three tasks are recorded",
    shows: "a task that had finished was run again",
    edits: [
      {
        file: PLAN,
        find: "await unfinishedTasks(ports, openBatch) : []",
        replace: "((await unfinishedTasks(ports, openBatch)), range(openBatch.tasks)) : []",
      },
      { file: WRITE, find: "if (done !== undefined) return resultOf(done, false);", replace: "" },
    ],
  },
  {
    rule: "8",
    what: "an acknowledgement that failed is forgotten",
    caughtBy: "a run that is killed before it tells the source of its commit",
    shows: "the source was never told of a committed batch",
    edits: [
      {
        file: PLAN,
        find: "await acknowledge(await sessions.source.planner(), ports, fence, head.unacknowledged);",
        replace: "await ports.ledger.acknowledge(fence, head.unacknowledged.batchId);",
      },
    ],
  },
  {
    rule: "9",
    what: "the sink does not look whether it has the batch",
    caughtBy: "a run that is killed between the sink's commit and the record of it",
    shows: "rows are doubled",
    edits: [
      {
        file: SINK,
        find: "if (lastCommitted >= batchId) return",
        replace: "if (lastCommitted > batchId + 1e9) return",
      },
    ],
  },
  {
    rule: "9",
    what: "the incarnation is left out",
    caughtBy: "a ledger that is lost after the last batch",
    shows: "rows are lost",
    edits: [
      {
        file: "shared/connectors/arrow-table/log.ts",
        find: "entry.pipeline === owner.pipeline && entry.incarnation === owner.incarnation",
        replace: "entry.pipeline === owner.pipeline",
      },
    ],
  },
  {
    rule: "10",
    what: "a commit that failed counts as one that did not land",
    caughtBy: "a sink's commit that takes effect while its answer is lost for good",
    shows: "a batch that is in the table was aborted",
    edits: [
      {
        file: FINALIZE,
        find: "return landed === true ? {} : { failure: error };",
        replace: "return landed === null ? {} : { failure: error };",
      },
    ],
  },
  {
    rule: "11",
    what: "abort deletes after a commit was tried",
    caughtBy: "a finalizer that sleeps after its decision, while the next run's commit fails for good",
    shows: "a commit names a file that is not there",
    edits: [{ file: SINK, find: "if (batch.commitTried) return;", replace: "" }],
  },
  {
    rule: "12",
    what: "vacuum goes by age alone",
    caughtBy: "a run that is killed before its finalize step, and a vacuum days later",
    shows: "a commit names a file that is not there",
    edits: [
      {
        file: "shared/connectors/kit/vacuum.ts",
        find: "if (staged.batchId <= landed) return true;",
        replace: "if (staged.batchId <= landed || staged.batchId >= 0) return true;",
      },
    ],
  },
  {
    rule: "13",
    what: "a lease is taken for safety: whoever works while there is one is let through",
    caughtBy: "a batch that is recorded when a vacuum has removed its plan, and a dead run holds the lease",
    shows: "runs without faults do not come to an end",
    edits: [
      {
        file: TRANSITIONS,
        find: "head: { where: [{ epoch: equal(fence.epoch), ...where }], set },",
        replace: "head: { where: [{ lease: PRESENT, ...where }], set },",
      },
      {
        file: TRANSITIONS,
        find: "return head?.epoch === fence.epoch ? undefined : fenced(fence, head);",
        replace: "return head?.lease !== undefined ? undefined : fenced(fence, head);",
      },
    ],
  },
  {
    rule: "14",
    what: "a rewind uses batch ids again",
    caughtBy: "a rewind of the last batch",
    shows: "rows are lost",
    edits: [
      {
        file: SQLITE,
        find: "this.#apply(rewound(fence, rewind));",
        replace: `const transition = rewound(fence, rewind);
    this.#apply({ ...transition, head: { ...transition.head, add: { nextBatchId: -1 } } });`,
      },
    ],
  },
  {
    rule: "mistake",
    what: "the decision to commit is not recorded",
    caughtBy: "a finalizer that sleeps before its decision, while the next run's commit fails for good",
    shows: "a commit names a file that is not there",
    edits: [
      {
        file: FINALIZE,
        find: "const decided = await decide(finalizer, batch, { to, ...error });",
        replace:
          'const decided = to === "committing" ? { ...batch, state: to } : await decide(finalizer, batch, { to, ...error });',
      },
      {
        file: TRANSITIONS,
        find: "where: [{ attempt: equal(attempt), state: oneOf(statesBefore(to)) }],",
        replace: "where: [{ attempt: equal(attempt) }],",
      },
      {
        // After the edit, the batch is still in the state `planned` when its commit fails.
        file: TRANSITIONS,
        find: "where: [{ attempt: equal(attempt), state: equal(state) }],",
        replace: 'where: [{ attempt: equal(attempt), state: oneOf<BatchState>(["planned", state]) }],',
      },
    ],
  },
  {
    rule: "mistake",
    what: "messages are not in the order of their partitions",
    caughtBy: "a run without a fault",
    shows: "rows are out of order",
    edits: [
      {
        file: FINALIZE,
        find: "messages[task.partition] = await messageOf(ports, task);",
        replace: "messages[tasks.length - 1 - task.partition] = await messageOf(ports, task);",
      },
    ],
  },
  {
    rule: "mistake",
    what: "abort deletes by prefix",
    caughtBy: "a read that fails for good in the second batch",
    shows: "a file that a commit names was deleted",
    edits: [
      {
        file: SINK,
        find: "await this.#table(batch).delete(messages.flatMap((message) => message?.path ?? []));",
        replace: `const table = this.#table(batch);
    await table.delete((await Array.fromAsync(table.list("data/"))).map((file) => file.key).filter(() => messages.length > 0));`,
      },
    ],
  },
];

/** The exit code with which Node ends if a top-level `await` never settles. */
const UNSETTLED = 13;
/** Maximum number of cases that a search tries. */
const LIMIT = 16_000;
const CALM: CaseName = "a run without a fault";

if (import.meta.main) process.exitCode = await main();

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: "string" },
      search: { type: "boolean" },
      shows: { type: "string", default: "" },
      seed: { type: "string", default: "1" },
    },
  });
  const { only } = values;
  const chosen = MUTATIONS.filter(
    ({ rule, what }) => only === undefined || rule === only || what.includes(only),
  );
  process.once("exit", (code) => {
    if (code === UNSETTLED) console.error("the mutation after the last line has a case that never ends");
  });
  // A case that fails with every engine would seem to catch the mutation.
  const broken = values.search ? undefined : await brokenAsItIs(chosen);
  if (broken !== undefined) {
    console.error(broken);
    return 1;
  }
  let caught = 0;
  for (const mutation of chosen) {
    const harness = await mutatedHarness(mutation.edits);
    const { isCaught, verdict } = values.search
      ? await search(harness, { seed: Number(values.seed), shows: values.shows })
      : await runNamed(harness, mutation);
    if (isCaught) caught++;
    console.log(`${isCaught ? "✓" : "✗"} ${mutation.rule.padEnd(8)} ${mutation.what}\n    ${verdict}`);
  }
  console.log(`${caught} of ${chosen.length} caught`);
  return chosen.length > 0 && caught === chosen.length ? 0 : 1;
}

/** Returns why a named case fails although no rule is removed, or `undefined` if all pass. */
async function brokenAsItIs(mutations: readonly Mutation[]): Promise<string | undefined> {
  for (const name of new Set<CaseName>([CALM, ...mutations.map(({ caughtBy }) => caughtBy)])) {
    const violations = await runCase(NAMED_CASES[name]);
    if (violations.length > 0) return `"${name}" fails with no rule removed: ${violations.join("; ")}`;
  }
  return undefined;
}

interface Verdict {
  readonly isCaught: boolean;
  readonly verdict: string;
}

/** Runs the case that is named for a mutation. `harness` must contain the mutation. */
export async function runNamed(
  harness: Pick<Harness, "runCase">,
  { caughtBy, shows }: Pick<Mutation, "caughtBy" | "shows">,
): Promise<Verdict> {
  const always = caughtBy === CALM ? [] : await harness.runCase(NAMED_CASES[CALM]);
  // If the engine fails without any fault, every case would seem to catch the mutation.
  if (always.length > 0)
    return { isCaught: false, verdict: `breaks a run without a fault: ${always.join("; ")}` };
  const violations = await harness.runCase(NAMED_CASES[caughtBy]);
  const isCaught = violations.some((what) => what.includes(shows));
  if (isCaught) return { isCaught, verdict: `${caughtBy}: ${violations.join("; ")}` };
  const instead = violations.length === 0 ? "nothing" : violations.join("; ");
  return { isCaught, verdict: `GAP: "${caughtBy}" shows ${instead}, not "${shows}"` };
}

async function search(
  harness: Harness,
  options: { readonly seed: number; readonly shows: string },
): Promise<Verdict> {
  const found = await searchCase(harness, { ...options, limit: LIMIT });
  return found === undefined
    ? { isCaught: false, verdict: `no case of ${LIMIT} shows it` }
    : { isCaught: true, verdict: `${JSON.stringify(found.test)}\n    ${found.violations.join("; ")}` };
}
