import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import type { Result, Share } from "../test/faults/batch.ts";

/**
 * `npm run test:mutations [-- --only TEXT] [--cases]`: removes each rule of the protocol from a
 * copy of the sources, one at a time, and prints which case of test/faults fails then. A rule whose
 * removal fails no case is a gap, and the command fails.
 */

interface Edit {
  readonly file: string;
  /** Text that must be in the file exactly once. */
  readonly find: string;
  readonly replace: string;
}

interface Mutation {
  /** Number of the rule in docs/protocol.md, or `mistake` for a likely mistake of a programmer. */
  readonly rule: string;
  readonly what: string;
  readonly edits: readonly Edit[];
}

const SQLITE = "shared/platform/embedded/sqlite-ledger.ts";
const TRANSITIONS = "shared/engine/ports/transitions.ts";
const PLAN = "shared/engine/plan.ts";
const WRITE = "shared/engine/write/task.ts";
const FINALIZE = "shared/engine/finalize.ts";
const SINK = "shared/connectors/arrow-table/writer.ts";

const MUTATIONS: readonly Mutation[] = [
  {
    rule: "1",
    what: "no transition checks the epoch",
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
    edits: [{ file: SINK, find: "if (batch.commitTried) return;", replace: "" }],
  },
  {
    rule: "12",
    what: "vacuum goes by age alone",
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
        // The batch is still planned when its commit fails.
        file: TRANSITIONS,
        find: "where: [{ attempt: equal(attempt), state: equal(state) }],",
        replace: 'where: [{ attempt: equal(attempt), state: oneOf<BatchState>(["planned", state]) }],',
      },
    ],
  },
  {
    rule: "mistake",
    what: "messages are not in the order of their partitions",
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

const ROOT = join(import.meta.dirname, "..");
const HOME = join(ROOT, ".cache/mutations");
const SEED = 1;
const LIMIT = 16_000;
const BASELINE = 500;
/** The number of cases bounds a search; the time only ends a search that hangs. */
const SECONDS = 1200;
const { values } = parseArgs({ options: { only: { type: "string" }, cases: { type: "boolean" } } });

/** Makes a copy of the sources that the harness needs, with the rule removed. */
function mutate(mutation: Mutation, folder: string): void {
  for (const part of ["shared", "test/faults"])
    cpSync(join(ROOT, part), join(folder, part), { recursive: true });
  for (const { file, find, replace } of mutation.edits) {
    const path = join(folder, file);
    const source = readFileSync(path, "utf8");
    if (source.split(find).length !== 2)
      throw new Error(`"${find}" is not in ${file} exactly once: correct the mutation`);
    writeFileSync(
      path,
      source.replace(find, () => replace),
    );
  }
}

function run(folder: string, limit = LIMIT): Promise<Result> {
  const workerData: Share = {
    index: 0,
    workers: 1,
    seconds: SECONDS,
    seed: SEED,
    limit,
    maxFailures: 1,
  };
  return new Promise((resolve, reject) => {
    const worker = new Worker(join(folder, "test/faults/batch.ts"), { workerData });
    worker.once("message", (result: Result) => {
      resolve(result);
      void worker.terminate();
    });
    worker.once("error", reject);
  });
}

async function attempt(mutation: Mutation, index: number): Promise<boolean> {
  const folder = join(HOME, String(index));
  mutate(mutation, folder);
  const { cases, failures } = await run(folder);
  const [first] = failures;
  const number = Object.values(cases).reduce((sum, count) => sum + count, 0);
  const verdict =
    first === undefined
      ? "GAP: no case fails"
      : `caught by case ${number} (${first.test.kind}): ${first.violations.join("; ")}`;
  if (values.cases) console.log(JSON.stringify(failures));
  console.log(
    `${mutation.rule.padEnd(8)} ${mutation.what.padEnd(62)} ${verdict.split("\n")[0]?.slice(0, 160)}`,
  );
  return first !== undefined;
}

rmSync(HOME, { recursive: true, force: true });
mkdirSync(HOME, { recursive: true });
const chosen = MUTATIONS.filter(
  ({ rule, what }) => values.only === undefined || rule === values.only || what.includes(values.only),
);
// Without this run, a broken harness would count as a caught mutation.
const untouched = join(HOME, "untouched");
mutate({ rule: "-", what: "nothing", edits: [] }, untouched);
const { failures: unexpected } = await run(untouched, BASELINE);
if (unexpected.length > 0) {
  console.error(`cases fail with nothing removed: ${unexpected[0]?.violations.join("; ")}`);
  process.exit(1);
}
const queue = chosen.entries();
let caught = 0;
const worker = async () => {
  for (const [index, mutation] of queue) if (await attempt(mutation, index)) caught++;
};
await Promise.all([worker(), worker()]);
rmSync(HOME, { recursive: true, force: true });
console.log(`${caught} of ${chosen.length} caught`);
process.exitCode = caught === chosen.length ? 0 : 1;
