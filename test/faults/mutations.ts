import type { Mutation } from "./mutation.ts";

const SQLITE = "shared/platform/embedded/sqlite-ledger.ts";
const TRANSITION = "shared/engine/ports/transition.ts";
const TRANSITIONS = "shared/engine/ports/transitions.ts";
const COMMITTED = "shared/contract/committed-batch.ts";
const RESUME = "shared/engine/resume.ts";
const POSITION = "shared/engine/sink-position.ts";
const COMMIT = "shared/engine/sink-commit.ts";
const PLAN = "shared/engine/plan.ts";
const WRITE = "shared/engine/write/task.ts";
const FINALIZE = "shared/engine/finalize.ts";
const SINK = "shared/connectors/arrow-table/writer.ts";

export const RULE_MUTATIONS: readonly Mutation[] = [
  {
    rule: "1",
    what: "no transition checks the epoch",
    caughtBy: "a batch that is recorded when a vacuum has removed its plan, and a dead run holds the lease",
    shows: "the plan of a batch was deleted",
    edits: [
      {
        file: TRANSITION,
        find: "head: { where: [{ ...heldBy(fence), ...where }], set },",
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
        file: "shared/engine/write/task-parts.ts",
        find: "const planned = await readPlannedTask(ports.store, run.partitionsKey, partition);",
        replace: `await readPlannedTask(ports.store, run.partitionsKey, partition);
  const recorded = await ports.ledger.batch(run.pipeline, run.batchId);
  const planner = await sessions.source.planner();
  const partitions = await planner.partitions(recorded?.start ?? {}, recorded?.end ?? {});
  const planned = { schema: await sessions.source.schema(), count: partitions.length, partition: partitions[partition] };`,
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
        file: "shared/engine/ports/commit-claims.ts",
        find: "return { where: [{ task: ABSENT }], set: { task, claim",
        replace: "return { where: [{}], set: { task, claim",
      },
      {
        file: SQLITE,
        find: "if (task !== undefined)\n",
        replace: "this.#sql.run('DELETE FROM tasks WHERE ' + OF_TASK, row);\n    if (task !== undefined)\n",
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
        find: `...optional("error", error && boundedError(error)),
    },
  });`,
        replace: `...optional("error", error && boundedError(error)),
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
        find: "${task.attempt}-${task.attemptNumber}-${id}${suffix}",
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
        file: RESUME,
        find: "const todo = unfinished(batch, tasks);",
        replace: "const todo = (unfinished(batch, tasks), range(batch.tasks));",
      },
      {
        file: WRITE,
        find: "if (done !== undefined && isOfPlan(done, request.run)) return resultOf(done, false);",
        replace: "",
      },
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
    shows: "two commits name one file",
    edits: [
      {
        file: "shared/connectors/arrow-table/commit.ts",
        find: "if (isCommitted(batch, position.newest)) return present(position);",
        replace: "if (position.newest === undefined && batch.batchId < 0) return present(position);",
      },
    ],
  },
  {
    rule: "9",
    what: "batches of another life in the sink are passed over",
    caughtBy: "a ledger that is lost after the last batch",
    shows: "a run is not refused with LEDGER_BEHIND_SINK",
    edits: [
      {
        file: COMMITTED,
        find: "if (newest !== undefined && !isEarlier(newest, ledger)) throw",
        replace: "if (newest?.incarnation === ledger.incarnation && !isEarlier(newest, ledger)) throw",
      },
    ],
  },
  {
    rule: "14",
    what: "a rewind keeps an acknowledgement that is due",
    caughtBy: "a rewind of a batch that the source was not told of",
    shows: "the source was told to forget rows that it was asked for again",
    edits: [
      {
        file: "shared/engine/ports/manual-transitions.ts",
        find: "{ offset: rewind.to, unacknowledged: undefined,",
        replace: "{ offset: rewind.to,",
      },
    ],
  },
  {
    rule: "15",
    what: "the sink knows a batch by its id",
    caughtBy: "a ledger that is restored from before the second batch",
    shows: "rows are lost",
    edits: [
      {
        file: COMMITTED,
        find: "if (newest !== undefined && isSameBatch(newest, batch)) return true;",
        replace:
          "if (newest?.incarnation === batch.incarnation && newest.batchId >= batch.batchId) return true;",
      },
      { file: POSITION, find: "  checkNewest({", replace: "  if (isSameBatch === undefined) checkNewest({" },
    ],
  },
  {
    rule: "15",
    what: "a sink that is older than the ledger goes on",
    caughtBy: "a table that is restored from before the second batch",
    shows: "rows are lost",
    edits: [
      {
        file: COMMITTED,
        find: 'if (follows !== undefined && continuity === "strict") throw',
        replace: 'if (follows !== undefined && continuity === "independent") throw',
      },
    ],
  },
  {
    rule: "15",
    what: "the source is told of a batch before the sink is asked for it",
    caughtBy: "a table that is emptied before the source is told of a batch",
    shows: "the source was told to forget rows that are not in the table",
    edits: [
      {
        file: PLAN,
        find: "    await checkSinkPosition(sessions, head);\n    await acknowledge(",
        replace: "    await acknowledge(",
      },
    ],
  },
  {
    rule: "16",
    what: "a fence compares the epoch only",
    caughtBy: "a plan that is recorded in the ledger of another life",
    shows: "the ledger has a batch of another life",
    edits: [
      {
        file: TRANSITION,
        find: "return { incarnation: equal(incarnation), epoch: equal(epoch) };",
        replace: "return { epoch: equal(epoch), ...(incarnation === undefined ? {} : {}) };",
      },
      {
        file: "shared/engine/ports/refusals.ts",
        find: "return head?.incarnation === incarnation && head.epoch === epoch;",
        replace: "return head?.epoch === epoch || incarnation === undefined;",
      },
    ],
  },
  {
    rule: "15",
    what: "a skip does not use up the batch's id in the sink",
    caughtBy: "a batch that is skipped while its commit is on its way",
    shows: "rows are",
    edits: [
      {
        file: FINALIZE,
        find: "problem === undefined ? await commitOrCollectItems(ports, call) :",
        replace:
          "batch.skipped !== undefined ? {} : problem === undefined ? await commitOrCollectItems(ports, call) :",
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
        file: COMMIT,
        find: "return (await hasLanded(call)) ? {} : { failure };",
        replace: "return (await hasLanded(call)) && failure === undefined ? {} : { failure };",
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
    shows: "a task that had finished was run again",
    edits: [
      {
        file: "shared/connectors/kit/vacuum.ts",
        find: "if (staged.batchId <= landed) return true;",
        replace: "if (staged.batchId <= landed || staged.batchId >= 0) return true;",
      },
    ],
  },
  {
    // The vacuum stands for anybody who deletes files.
    rule: "17",
    what: "a batch is decided without a look at its staged files",
    caughtBy: "a run that is killed before its finalize step, and a vacuum days later",
    shows: "a commit names a file that is not there",
    edits: [
      {
        file: "shared/connectors/kit/vacuum.ts",
        find: "if (staged.batchId <= landed) return true;",
        replace: "if (staged.batchId <= landed || staged.batchId >= 0) return true;",
      },
      {
        file: "shared/engine/staged-files.ts",
        find: "return { ...read, lost: [...read.lost, ...damaged.map((file) => lostFile(batch, file))] };",
        replace: "return read;",
      },
    ],
  },
  {
    rule: "13",
    what: "a lease is taken for safety: whoever works while there is one is let through",
    caughtBy: "a batch that is recorded when a vacuum has removed its plan, and a dead run holds the lease",
    shows: "the plan of a batch was deleted",
    edits: [
      {
        file: TRANSITION,
        find: "head: { where: [{ ...heldBy(fence), ...where }], set },",
        replace: "head: { where: [{ lease: { present: true }, ...where }], set },",
      },
      {
        file: TRANSITION,
        find: "return isHeldBy(fence, head) ? undefined : fenced(fence, head);",
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
        find: "const decided = await decide(finalizer, batch, { to, ...(isWhole ? {} : { error: problem }) });",
        replace:
          'const decided = to === "committing" ? { ...batch, state: to } : await decide(finalizer, batch, { to, ...optional("error", problem) });',
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
        file: "shared/engine/messages.ts",
        find: "else messages[task.partition] = message;",
        replace: "else messages[tasks.length - 1 - task.partition] = message;",
      },
    ],
  },
  {
    rule: "6",
    what: "the file of a large message is named by the attempt only",
    caughtBy: "a run whose commit messages are too large for the ledger",
    shows: "rows are lost",
    edits: [
      {
        file: "shared/engine/write/task-message.ts",
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source code
        find: "${BATCH_FILE.message}${writerId}.json",
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is source code
        replace: "${BATCH_FILE.message}${run.attempt}.json",
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
        find: "await this.#table(batch).delete(pathsOf(messages));",
        replace: `const table = this.#table(batch);
    await table.delete((await Array.fromAsync(table.list("data/"))).map((file) => file.key).filter(() => messages.length > 0));`,
      },
    ],
  },
];
