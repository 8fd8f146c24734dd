import type { JsonValue } from "../../shared/contract/json.ts";
import { BATCH_REWRITES } from "./batch-exceptions.ts";
import { type Args, type Call, isIdlePoll, parsed, type Run, sameJson, simpleEnd } from "./trace.ts";

/** A difference from Spark that is there on purpose. */
export interface Exception {
  readonly id: string;
  /** Where it is listed, and why it is so. */
  readonly reason: string;
}

/**
 * A difference that can be foretold from the recording alone: it says what Spark's trace would be if Spark did as Millrace does, and the
 * engine must then make exactly these calls. So it can hide nothing of what the engine does besides.
 */
export interface Rewrite extends Exception {
  /** Changes `runs`; true where it found the difference in them. */
  rewrite(runs: Run[]): boolean;
}

const isCall = (call: Call | undefined, ...names: readonly string[]): boolean =>
  call !== undefined && names.includes(call.call);
const isFaultAt = (call: Call | undefined, point: string): boolean =>
  isCall(call, `!! raise in ${point}`, `!! kill -9 JVM from ${point}`);
const sameRange = (a: Args, b: Args): boolean =>
  sameJson(a["start"], b["start"]) && sameJson(a["end"], b["end"]);

/** The range of a `latestOffset` that found something new. */
function rangeOf(call: Call): Args | undefined {
  if (!isCall(call, "reader.latestOffset") || isIdlePoll(call)) return undefined;
  return { start: call.args["start"] ?? null, end: parsed(call.args["returns"] ?? null) };
}

/** The numbers of an option that a fault names: `start` of a `!! raise in partitions`. */
const startsAt = (range: Args, start: JsonValue | undefined): boolean =>
  sameJson((range["start"] as Args | null)?.["n"], start);

const checkpointOption: Rewrite = {
  id: "no-checkpoint-option",
  reason:
    "Spark passes the location of its checkpoint to the sink as an option. Millrace has a ledger (DESIGN 2), which is none of the sink's options.",
  rewrite(runs) {
    let used = false;
    for (const run of runs) {
      run.made = run.made.map((made) => {
        const { checkpointlocation, ...options } = (made.args["options"] ?? {}) as Args;
        if (checkpointlocation === undefined) return made;
        used = true;
        return { ...made, args: { ...made.args, options } };
      });
    }
    return used;
  },
};

/** True for a `latestOffset` whose end is before its start, as far as their one number tells. */
function goesBack(call: Call): boolean {
  const { start, end } = rangeOf(call) ?? {};
  const [from, to] = [start, end].map((offset) => Object.entries((offset ?? {}) as Args));
  const [[name, first] = [], ...more] = from ?? [];
  const [[otherName, last] = [], ...others] = to ?? [];
  const isOneNumber = name === otherName && more.length === 0 && others.length === 0;
  return isOneNumber && typeof first === "number" && typeof last === "number" && last < first;
}

const forwardOnly: Rewrite = {
  id: "no-offset-backwards",
  reason:
    "Spark follows an offset that goes backwards, and reads rows again. Millrace refuses an end that is before its start, where their one number or time, or `compareOffsets`, tells (docs/architecture.md): nothing is planned, and the run fails, as does each after it.",
  rewrite(runs) {
    const at = runs.findIndex(({ driver }) => driver.some(goesBack));
    const asked = runs[at]?.driver.find(goesBack);
    if (asked === undefined) return false;
    const committed: number[] = [-1];
    for (const [i, run] of runs.entries()) {
      if (i === at) run.driver.length = run.driver.indexOf(asked) + 1;
      if (i > at) run.driver = [asked];
      for (const call of run.driver)
        if (isCall(call, "writer.commit:return")) committed.push(Number(call.args["batchId"]));
      if (i < at) continue;
      const isKept = (batch: number) => batch <= Math.max(...committed);
      run.tasks = i === at ? run.tasks.filter(({ batch }) => isKept(batch)) : [];
      run.ended = { failed: true, faults: [], refusal: "OFFSET_WENT_BACK" };
      if (run.checkpoint === undefined) continue;
      const { offsets, commits } = run.checkpoint;
      run.checkpoint = {
        offsets: Object.fromEntries(Object.entries(offsets).filter(([id]) => isKept(Number(id)))),
        commits: commits.filter((id) => isKept(Number(id))),
      };
    }
    return true;
  },
};

/** Takes a batch out of the recording, and counts those after it from one less. */
function removeBatch(runs: readonly Run[], at: number, batchId: number, end: JsonValue): void {
  let isAcknowledged = false;
  for (const run of runs.slice(at)) {
    run.driver = run.driver.flatMap((call, i, calls) => {
      const isWriters = (other: Call | undefined) =>
        isCall(other, "writer.commit", "writer.commit:return") && other?.args["batchId"] === batchId;
      if (isWriters(call) || (isCall(call, "writer.__init__") && isWriters(calls[i + 1]))) return [];
      if (isCall(call, "reader.commit") && !isAcknowledged && sameJson(call.args["end"], end)) {
        isAcknowledged = true;
        return [];
      }
      const later = call.args["batchId"] ?? null;
      if (typeof later !== "number" || later <= batchId) return [call];
      return [{ ...call, args: { ...call.args, batchId: later - 1 } }];
    });
    run.tasks = run.tasks
      .filter(({ batch }) => batch !== batchId)
      .map((task) => (task.batch > batchId ? { ...task, batch: task.batch - 1 } : task));
    if (run.checkpoint === undefined) continue;
    const earlier = (id: string) => (Number(id) > batchId ? String(Number(id) - 1) : id);
    const isOther = (id: string) => Number(id) !== batchId;
    const offsets = Object.entries(run.checkpoint.offsets).filter(([id]) => isOther(id));
    run.checkpoint = {
      offsets: Object.fromEntries(offsets.map(([id, offset]) => [earlier(id), offset])),
      commits: run.checkpoint.commits.filter(isOther).map(earlier),
    };
  }
}

/** The id of the batch that is committed next after a call of the driver. */
function batchAfter(run: Run, index: number): number | undefined {
  const commit = run.driver.slice(index).find((call) => isCall(call, "writer.commit"));
  return commit === undefined ? undefined : Number(commit.args["batchId"]);
}

const emptyFirstBatch: Rewrite = {
  id: "no-empty-first-batch",
  reason:
    "DESIGN 3: a batch with end == start, which Spark runs once at the very start, never runs. It writes nothing and costs money.",
  rewrite(runs) {
    const at = runs.findIndex(({ driver }) => driver.some((call) => isCall(call, "reader.partitions")));
    const run = runs[at];
    const index = run?.driver.findIndex((call) => isCall(call, "reader.partitions")) ?? -1;
    const { start, end } = run?.driver[index]?.args ?? {};
    if (run === undefined || end === undefined || !sameJson(start, end) || batchAfter(run, index) !== 0)
      return false;
    const isAskedAgain = isCall(run.driver[index - 1], "reader.initialOffset");
    run.driver.splice(isAskedAgain ? index - 1 : index, isAskedAgain ? 2 : 1);
    removeBatch(runs, at, 0, end);
    return true;
  },
};

const keyOrder: Rewrite = {
  id: "key-order",
  reason:
    "DESIGN 2: offsets are compared as canonical JSON, so that the same object with its keys in another order is nothing new. Spark compares text.",
  rewrite(runs) {
    let used = false;
    for (const [at, run] of runs.entries()) {
      const sameTwice = (call: Call) =>
        isCall(call, "reader.partitions") &&
        sameJson(call.args["start"], call.args["end"]) &&
        JSON.stringify(call.args["start"]) !== JSON.stringify(call.args["end"]);
      for (;;) {
        const index = run.driver.findIndex(sameTwice);
        const batchId = batchAfter(run, index);
        if (index < 0 || batchId === undefined) break;
        const [removed] = run.driver.splice(index, 1);
        const acknowledged = run.driver.slice(index).find((call) => isCall(call, "reader.commit"));
        removeBatch(runs, at, batchId, null);
        // Of the two acknowledgements of what is one offset, the second is of the batch that is gone.
        if (acknowledged !== undefined && sameJson(acknowledged.args["end"], removed?.args["end"]))
          run.driver.splice(run.driver.indexOf(acknowledged), 1);
        used = true;
      }
    }
    return used;
  },
};

/** True where a run has no batch after its first; of the recorded sources that no trigger drives further. */
function isOneBatchTrigger(trigger: JsonValue): boolean {
  return typeof trigger === "object" && trigger !== null && ("once" in trigger || "availableNow" in trigger);
}

/** What Spark refuses as a message is one: the task succeeds, the batch is committed, the run goes on to its end. */
function acceptMessages(runs: readonly Run[], ret: string, messageOf: (exit: Args) => JsonValue): boolean {
  let used = false;
  for (const run of runs) {
    // How a run on an interval would have gone on is not in the recording.
    const isOneBatch = isOneBatchTrigger(run.start.trigger);
    const index = run.driver.findIndex((call) => isCall(call, "writer.abort"));
    const { batchId } = run.driver[index]?.args ?? {};
    if (run.start.wopts["ret"] !== ret || !isOneBatch || typeof batchId !== "number") continue;
    run.tasks = run.tasks.filter(({ batch, attempt }) => batch !== batchId || attempt === 0);
    const messages = run.tasks
      .filter(({ batch }) => batch === batchId)
      .sort((a, b) => a.partition - b.partition)
      .map(({ writer }) => messageOf(writer.find((call) => isCall(call, "writer.write:exit"))?.args ?? {}));
    run.driver.splice(
      index,
      1,
      { call: "writer.commit", args: { messages, batchId } },
      { call: "writer.commit:return", args: { batchId } },
    );
    run.ended = { failed: false, faults: [] };
    run.checkpoint?.commits.push(String(batchId));
    used = true;
  }
  return used;
}

const nullMessage: Rewrite = {
  id: "null-message",
  reason:
    "DESIGN 3: `write` that returns nothing is a success with message `null`, as the API documents. In Spark it fails the task.",
  rewrite: (runs) => acceptMessages(runs, "none", () => null),
};

const jsonMessage: Rewrite = {
  id: "json-message",
  reason:
    "The contract's WriterCommitMessage is any JSON value: TypeScript has no class to check it against. In Spark a dict fails the task.",
  rewrite: (runs) => acceptMessages(runs, "dict", ({ rows }) => ({ rows: rows ?? null })),
};

const oneSignature: Rewrite = {
  id: "one-signature",
  reason:
    'Spark asks a reader whose `latestOffset` has no parameters, as of 4.0, before `initialOffset`, and begins a restart with `partitions(start, start)` to tell it where to go on (docs/architecture.md). In JavaScript a method without parameters is one that does not need them: an end that was asked before the start could lie before a start that is "now", and `start` is always handed over.',
  rewrite(runs) {
    let used = false;
    const isOld = (call: Call | undefined) =>
      isCall(call, "reader.latestOffset") && call?.args["no_args"] === true;
    for (const run of runs) {
      const { driver } = run;
      const isEmpty = (call: Call | undefined) =>
        isCall(call, "reader.partitions") && sameJson(call?.args["start"], call?.args["end"]);
      if (isEmpty(driver[0]) && isOld(driver[1])) {
        driver.shift();
        used = true;
      }
      const [end, start] = driver;
      if (start === undefined || end === undefined || !isOld(end) || !isCall(start, "reader.initialOffset"))
        continue;
      driver.splice(0, 2, start, end);
      used = true;
    }
    return used;
  },
};

const anyIterable: Rewrite = {
  id: "any-iterable",
  reason:
    "A simple reader's rows may be any iterable. Spark copies them for the batch, which Python cannot do with a generator: its batch fails. Millrace keeps them in a file (docs/architecture.md), and the batch is committed.",
  rewrite(runs) {
    let used = false;
    for (const run of runs) {
      const read = run.driver.findLast((call) => isCall(call, "simple.read"));
      const { offsets = {}, commits = [] } = run.checkpoint ?? {};
      const batchId = Number(Object.keys(offsets).find((id) => !commits.includes(id)));
      const schema = run.made.find((made) => isCall(made, "DataSource.simpleStreamReader"))?.args["schema"];
      if (read === undefined || schema === undefined || Number.isNaN(batchId)) continue;
      if ((read.args["returns"] as Args)["generator"] !== true || run.ended?.failed !== true) continue;
      const [from, to] = [read.args["start"], simpleEnd(read)].map((offset) =>
        Number((offset as Args)["n"]),
      ) as [number, number];
      const written = { rows: to - from, lo: from, hi: to - 1 };
      const exit = { items: 1, kinds: ["RecordBatch"], ...written };
      const writer = [
        { call: "writer.write:enter", args: {} },
        { call: "writer.write:exit", args: exit },
      ];
      run.tasks.push({ batch: batchId, partition: 0, attempt: 0, reader: [], writer });
      run.driver.push(
        { call: "writer.__init__", args: { schema, overwrite: false } },
        {
          call: "writer.commit",
          args: { messages: [{ partition: 0, attempt: 0, ...written }], batchId },
        },
        { call: "writer.commit:return", args: { batchId } },
      );
      // How the run would have gone on is not in the recording: it ends with this batch.
      run.ended = { failed: false, faults: [] };
      run.checkpoint?.commits.push(String(batchId));
      used = true;
    }
    return used;
  },
};

const initialOffsetOnce: Rewrite = {
  id: "initial-offset-once",
  reason:
    'Spark asks `initialOffset` again when it runs batch 0, also when it replays it. Millrace asks once and records the start with the batch (DESIGN 2, rule 2): a source whose start is "now" would answer differently.',
  rewrite(runs) {
    let used = false;
    const planned: Args[] = [];
    for (const run of runs) {
      let isAsked = false;
      run.driver = run.driver.filter((call, i, calls) => {
        const next = calls[i + 1];
        if (rangeOf(call) !== undefined) isAsked = true;
        if (isCall(call, "simple.read")) isAsked = true;
        if (isCall(call, "reader.partitions")) planned.push(call.args);
        if (isCall(call, "simple.initialOffset") && isAsked) {
          used = true;
          return false;
        }
        if (!isCall(call, "reader.initialOffset")) return true;
        const isReplayed =
          isCall(next, "reader.partitions") && planned.some((range) => sameRange(range, next?.args ?? {}));
        const runsBatch = isCall(next, "reader.partitions") || isFaultAt(next, "partitions");
        if (!runsBatch || !(isAsked || isReplayed)) return true;
        used = true;
        return false;
      });
    }
    return used;
  },
};

const planInOneStep: Rewrite = {
  id: "plan-in-one-step",
  reason:
    "Offsets are recorded together with the partitions (DESIGN 1 and rule 2), Spark's before them: where `partitions` fails nothing is planned, and the next run asks `latestOffset` again.",
  rewrite(runs) {
    let used = false;
    let open: Call | undefined;
    for (const run of runs) {
      for (let i = 0; i < run.driver.length; i++) {
        const call = run.driver[i] as Call;
        if (rangeOf(call) !== undefined) open = call;
        const range = open === undefined ? undefined : rangeOf(open);
        if (open === undefined || range === undefined) continue;
        const isPlanned = isCall(call, "reader.partitions") && sameRange(call.args, range);
        const isBroken = isFaultAt(call, "partitions") && startsAt(range, call.args["start"]);
        if ((isPlanned || isBroken) && !run.driver.slice(0, i).includes(open)) {
          open = { ...open };
          run.driver.splice(i++, 0, open);
          used = true;
        }
        if (isPlanned) open = undefined;
      }
      if (open === undefined || run.checkpoint === undefined) continue;
      const { offsets, commits } = run.checkpoint;
      for (const id of Object.keys(offsets)) {
        const isOpen = !commits.includes(id) && sameJson(offsets[id], rangeOf(open)?.["end"]);
        if (!isOpen) continue;
        delete offsets[id];
        used = true;
      }
    }
    return used;
  },
};

const acknowledgeAfterCommit: Rewrite = {
  id: "acknowledge-after-commit",
  reason:
    "DESIGN 3: reader `commit(end)` is called right after the batch committed, again by the next run until it succeeds. Spark calls it while the next batch is planned, and once.",
  rewrite(runs) {
    let used = false;
    let unacknowledged: Call | undefined;
    const ahead: JsonValue[] = [];
    for (const run of runs) {
      const driver: Call[] = [];
      let end: JsonValue = null;
      for (let i = 0; i < run.driver.length; i++) {
        const call = run.driver[i] as Call;
        if (unacknowledged !== undefined && !isCall(call, "reader.prepareForTriggerAvailableNow")) {
          driver.push(unacknowledged);
          unacknowledged = undefined;
        }
        if (isCall(call, "reader.partitions")) end = call.args["end"] ?? null;
        // A simple reader's partitions are none of its calls.
        const read = simpleEnd(call);
        if (read !== undefined) end = read;
        const acknowledgement = isCall(call, "simple.commit") ? "simple.commit" : "reader.commit";
        const early = isCall(call, acknowledgement)
          ? ahead.findIndex((known) => sameJson(known, call.args["end"]))
          : -1;
        if (early >= 0) {
          ahead.splice(early, 1);
          continue;
        }
        driver.push(call);
        if (!isCall(call, "writer.commit:return")) continue;
        used = true;
        const isSimple = run.driver.some((other) => isCall(other, "simple.read"));
        driver.push({ call: isSimple ? "simple.commit" : "reader.commit", args: { end } });
        // Where Spark's call fails, ours does: before the next batch is planned, so that the run ends here.
        const rest = run.driver.slice(i + 1);
        const failure = rest.find((other) => isFaultAt(other, "reader.commit"));
        const isOnlyPlanned = rest.every(
          (other) =>
            other === failure || isCall(other, "reader.latestOffset", "reader.commit", "reader.stop"),
        );
        if (failure === undefined || !isOnlyPlanned) {
          ahead.push(end);
          continue;
        }
        driver.push(failure);
        unacknowledged = { call: "reader.commit", args: { end } };
        break;
      }
      run.driver = driver;
    }
    return used;
  },
};

const recordedPartitions: Rewrite = {
  id: "recorded-partitions",
  reason:
    "DESIGN 3: `partitions(start, end)` is not asked again on replay; a source that answers differently would change what the batch means.",
  rewrite(runs) {
    let used = false;
    for (const [i, run] of [...runs.entries()].reverse()) {
      const earlier = runs.slice(0, i).flatMap(({ driver }) => driver);
      const isReplayed = (call: Call, before: readonly Call[]) =>
        isCall(call, "reader.partitions") &&
        earlier.some((other) => isCall(other, "reader.partitions") && sameRange(other.args, call.args)) &&
        !before.some((other) => sameRange(rangeOf(other) ?? {}, call.args));
      const kept = run.driver.filter((call, index, calls) => !isReplayed(call, calls.slice(0, index)));
      used ||= kept.length < run.driver.length;
      run.driver = kept;
    }
    return used;
  },
};

const abortAgain: Rewrite = {
  id: "abort-again",
  reason:
    "DESIGN 2, rule 4: a decision is followed to its end, so an `abort` that failed or was killed is called again by the next run, before the batch is replayed. Spark forgets it.",
  rewrite(runs) {
    let used = false;
    for (const [i, { driver }] of runs.entries()) {
      const failed = driver.findIndex((call) => isFaultAt(call, "abort"));
      const next = runs[i + 1];
      if (failed < 2 || next === undefined) continue;
      const at = isCall(next.driver[0], "reader.prepareForTriggerAvailableNow") ? 1 : 0;
      next.driver.splice(at, 0, ...driver.slice(failed - 2, failed).map((call) => ({ ...call })));
      used = true;
    }
    return used;
  },
};

const stopAlways: Rewrite = {
  id: "stop-always",
  reason:
    "`stop` is best effort in Spark: its recordings have it after some ends of a run and not after others. Millrace calls it once at the end of every run that was not killed, and for each reader of a task.",
  rewrite(runs) {
    const stop = (): Call => ({ call: "reader.stop", args: {} });
    let used = false;
    for (const run of runs) {
      run.driver = run.driver.filter((call) => !isCall(call, "reader.stop"));
      const isMade = run.driver.some(({ call }) =>
        /^(reader\.|!! .* (reader\.commit|\w+Offset|partitions)$)/.test(call),
      );
      if (isMade && run.ended !== undefined) run.driver.push(stop());
      for (const { reader } of run.tasks) if (reader.length > 0) reader.push(stop());
      used ||= isMade;
    }
    return used;
  },
};

const readOnDemand: Rewrite = {
  id: "read-on-demand",
  reason:
    'A task is one process: `read` begins when `write` asks for the first batch. In Spark it runs beside `write`, which may never ask (k_write_does_not_consume: "may still run").',
  rewrite(runs) {
    let used = false;
    for (const task of runs.flatMap(({ tasks }) => tasks)) {
      const last = task.writer.at(-1);
      const neverAsks =
        isCall(last, "writer.write:return-without-consuming") || isFaultAt(last, "write:enter");
      if (!neverAsks || task.reader.length === 0) continue;
      task.reader.length = 0;
      used = true;
    }
    return used;
  },
};

/** In the order in which they are applied. */
export const REWRITES: readonly Rewrite[] = [
  checkpointOption,
  forwardOnly,
  emptyFirstBatch,
  keyOrder,
  nullMessage,
  jsonMessage,
  anyIterable,
  oneSignature,
  initialOffsetOnce,
  planInOneStep,
  acknowledgeAfterCommit,
  recordedPartitions,
  abortAgain,
  readOnDemand,
  stopAlways,
];

/** Spark's runs as they would be if Spark did as Millrace does. */
export function rewritten(recorded: readonly Run[]): {
  readonly expected: Run[];
  readonly used: Set<string>;
} {
  const expected = structuredClone([...recorded]);
  const rules = recorded.some(({ isBatch }) => isBatch) ? BATCH_REWRITES : REWRITES;
  const used = rules.filter((rule) => rule.rewrite(expected)).map(({ id }) => id);
  return { expected, used: new Set(used) };
}
