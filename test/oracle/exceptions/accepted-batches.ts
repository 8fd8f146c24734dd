import type { JsonValue } from "../../../shared/contract/json.ts";
import { type Args, type Call, type Run, simpleEnd } from "../trace.ts";
import { changeEach, isCall, type Rewrite } from "./rewrite.ts";

/** Exceptions for batches that fail in Spark and that Millrace commits. */

/** Returns true if the trigger of a run ends it after one batch of the recorded sources. */
function isOneBatchTrigger(trigger: JsonValue): boolean {
  return typeof trigger === "object" && trigger !== null && ("once" in trigger || "availableNow" in trigger);
}

/** Returns the calls of a commit that succeeds. */
function commitOf(batchId: number, messages: readonly JsonValue[]): readonly Call[] {
  return [
    { call: "writer.commit", args: { messages, batchId } },
    { call: "writer.commit:return", args: { batchId } },
  ];
}

/** Makes a run end after this batch, without an error. */
function endWith(run: Run, batchId: number): void {
  run.ended = { failed: false, faults: [] };
  run.checkpoint?.commits.push(String(batchId));
}

/** Accepts messages that Spark refuses. The task then succeeds, and the batch is committed. */
function acceptMessages(runs: readonly Run[], ret: string, messageOf: (exit: Args) => JsonValue): boolean {
  return changeEach(runs, (run) => {
    const index = run.driver.findIndex((call) => isCall(call, "writer.abort"));
    const { batchId } = run.driver[index]?.args ?? {};
    // The recording does not show how a run on an interval would have continued.
    const isOneBatch = isOneBatchTrigger(run.start.trigger);
    if (run.start.wopts["ret"] !== ret || !isOneBatch || typeof batchId !== "number") return false;
    run.tasks = run.tasks.filter(({ batch, attempt }) => batch !== batchId || attempt === 0);
    const messages = run.tasks
      .filter(({ batch }) => batch === batchId)
      .sort((a, b) => a.partition - b.partition)
      .map(({ writer }) => messageOf(writer.find((call) => isCall(call, "writer.write:exit"))?.args ?? {}));
    run.driver.splice(index, 1, ...commitOf(batchId, messages));
    endWith(run, batchId);
    return true;
  });
}

export const nullMessage: Rewrite = {
  id: "null-message",
  reason:
    "docs/spark-differences.md: `write` that returns nothing is a success with message `null`, as the API documents. In Spark it fails the task.",
  rewrite: (runs) => acceptMessages(runs, "none", () => null),
};

export const jsonMessage: Rewrite = {
  id: "json-message",
  reason:
    "The contract's WriterCommitMessage is any JSON value: TypeScript has no class to check it against. In Spark a dict fails the task.",
  rewrite: (runs) => acceptMessages(runs, "dict", ({ rows }) => ({ rows: rows ?? null })),
};

export const anyIterable: Rewrite = {
  id: "any-iterable",
  reason:
    "A simple reader's rows may be any iterable. Spark copies them for the batch, which Python cannot do with a generator: its batch fails. Millrace keeps them in a file (docs/spark-differences.md), and the batch is committed.",
  rewrite(runs) {
    return changeEach(runs, (run) => {
      const read = run.driver.findLast((call) => isCall(call, "simple.read"));
      const { offsets = {}, commits = [] } = run.checkpoint ?? {};
      const batchId = Number(Object.keys(offsets).find((id) => !commits.includes(id)));
      const schema = run.made.find((made) => isCall(made, "DataSource.simpleStreamReader"))?.args["schema"];
      if (read === undefined || schema === undefined || Number.isNaN(batchId)) return false;
      if ((read.args["returns"] as Args)["generator"] !== true || run.ended?.failed !== true) return false;
      const [from, to] = [read.args["start"], simpleEnd(read)].map((offset) =>
        Number((offset as Args)["n"]),
      ) as [number, number];
      const written = { rows: to - from, lo: from, hi: to - 1 };
      const writer = [
        { call: "writer.write:enter", args: {} },
        { call: "writer.write:exit", args: { items: 1, kinds: ["RecordBatch"], ...written } },
      ];
      run.tasks.push({ batch: batchId, partition: 0, attempt: 0, reader: [], writer });
      // The recording does not show how the run would have continued, so it ends with this batch.
      run.driver.push(
        { call: "writer.__init__", args: { schema, overwrite: false } },
        ...commitOf(batchId, [{ partition: 0, attempt: 0, ...written }]),
      );
      endWith(run, batchId);
      return true;
    });
  },
};
