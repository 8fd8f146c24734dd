import type { Case } from "./cases.ts";
import { EXCHANGE_CASES } from "./exchange-cases.ts";
import { ROW_LEVEL_CASES } from "./row-level-cases.ts";

/**
 * Cases with a name that says what happens in them. Their faults name the calls, so a case does not
 * change when calls or cases are added.
 */
export const NAMED_CASES = {
  ...EXCHANGE_CASES,
  ...ROW_LEVEL_CASES,
  "a run without a fault": { kind: "sequence", runs: [[]] },
  "a run that is killed when two of its three tasks are recorded": {
    kind: "single",
    runs: [[{ at: "source.read #3", kind: "stop before" }]],
  },
  "a run that is killed before its finalize step, and a vacuum days later": {
    kind: "single",
    runs: [[{ at: "step finalize", kind: "stop before" }]],
    vacuums: true,
  },
  "a run that is killed between its decision to commit and the sink's commit": {
    kind: "single",
    runs: [[{ at: "sink.commit", kind: "stop before" }]],
  },
  "a run that is killed between the sink's commit and the record of it": {
    kind: "single",
    runs: [[{ at: "ledger.finish", kind: "stop before" }]],
  },
  "a run that is killed before it tells the source of its commit": {
    kind: "single",
    runs: [[{ at: "source.commit", kind: "stop before" }]],
  },
  "a sink's commit that takes effect while its answer is lost for good": {
    kind: "single",
    runs: [[{ at: "sink.commit", kind: "lost for good" }]],
  },
  "a read that fails for good in the second batch": {
    kind: "single",
    runs: [[{ at: "source.read #4", kind: "fail for good" }]],
  },
  "a finalizer that decides after its own retry has committed the batch": {
    kind: "single",
    runs: [[{ at: "ledger.decide", kind: "overtaken before" }]],
  },
  "a task that sleeps before it stages its rows, while another run commits the batch": {
    kind: "zombie",
    runs: [[{ at: "sink.write", kind: "sleep before" }]],
  },
  "a task that is recorded after the next run has committed the batch and died": {
    kind: "takeover",
    runs: [[{ at: "ledger.recordTask", kind: "sleep before" }], [{ at: "sink.commit", kind: "stop after" }]],
  },
  "a finalizer that sleeps before its decision, while the next run's commit fails for good": {
    kind: "takeover",
    runs: [[{ at: "sink.findDamaged", kind: "sleep after" }], [{ at: "sink.commit", kind: "fail for good" }]],
  },
  "a finalizer that sleeps after its decision, while the next run's commit fails for good": {
    kind: "takeover",
    runs: [[{ at: "ledger.decide", kind: "sleep after" }], [{ at: "sink.commit", kind: "fail for good" }]],
  },
  "a batch that is recorded when a vacuum has removed its plan, and a dead run holds the lease": {
    kind: "takeover",
    runs: [[{ at: "ledger.plan", kind: "sleep before" }], [{ at: "source.partitions", kind: "stop after" }]],
    vacuums: true,
  },
  "a ledger that is lost after the last batch": { kind: "history", runs: [[]], act: "lose ledger" },
  "a ledger that is restored from before the second batch": {
    kind: "history",
    runs: [[{ at: "step plan #2", kind: "stop before" }]],
    act: "restore ledger",
  },
  "a table that is restored from before the second batch": {
    kind: "history",
    runs: [[{ at: "step plan #2", kind: "stop before" }]],
    act: "restore table",
  },
  "a table that is emptied before the source is told of a batch": {
    kind: "history",
    runs: [[{ at: "source.commit", kind: "stop before" }]],
    act: "lose table",
  },
  "a rewind of a batch that the source was not told of": {
    kind: "history",
    runs: [[{ at: "source.commit", kind: "stop before" }]],
    act: "rewind, acknowledgement due",
  },
  "a plan that is recorded in the ledger of another life": {
    kind: "takeover",
    runs: [[{ at: "ledger.plan", kind: "sleep before" }], [{ at: "source.partitions", kind: "stop after" }]],
    act: "lose ledger under a run",
  },
  "a batch that is skipped while its commit is on its way": {
    kind: "takeover",
    runs: [[{ at: "sink.commit", kind: "sleep before" }]],
    act: "skip",
  },
  "a task whose record is late, and is tried again": {
    kind: "late",
    runs: [[{ at: "ledger.recordTask", kind: "late", after: 3 }]],
  },
  "a batch that is recorded late, and a vacuum before it": {
    kind: "late",
    runs: [[{ at: "ledger.plan", kind: "late for good", after: 40 }]],
    vacuums: true,
  },
  "a finalizer that sleeps before its decision, while the next run decides and is killed": {
    kind: "takeover",
    runs: [[{ at: "ledger.decide", kind: "sleep before" }], [{ at: "ledger.decide", kind: "stop after" }]],
  },
  "a run whose commit messages are too large for the ledger": {
    kind: "large messages",
    runs: [[]],
    setup: { largeMessages: true },
  },
  "a task that is recorded after the ledger was put back and the next run has planned": {
    kind: "ledger rolled back",
    runs: [
      [{ at: "ledger.recordTask #4", kind: "sleep before" }],
      [{ at: "ledger.recordTask #2", kind: "stop before" }],
    ],
    rollback: { keep: "source.latestOffset #2", back: "step plan #3" },
  },
  "a read that fails for good in a batch that has landed, when the ledger was put back": {
    kind: "ledger rolled back",
    runs: [[{ at: "sink.commit", kind: "stop after" }], [{ at: "source.read", kind: "fail for good" }]],
    rollback: { keep: "source.read #3", back: "step plan #2" },
  },
  "a finalizer that is tried again after the commit, when the ledger was put back": {
    kind: "ledger rolled back",
    runs: [[{ at: "ledger.finish", kind: "die before" }]],
    rollback: { keep: "ledger.recordTask #2", back: "step finalize #2" },
  },
  "a simple reader whose partitions file is lost": {
    kind: "file lost",
    runs: [[{ at: "sink.write", kind: "stop before" }], [{ at: "step plan", kind: "file lost", file: 1 }]],
    setup: { source: "simple" },
  },
  "a run whose tasks have two attempts each, of which one may commit": {
    kind: "speculation",
    runs: [[]],
    setup: { sink: "coordinated", speculates: true },
  },
  "a task that is killed in its commit, and tried again": {
    kind: "coordination",
    runs: [[{ at: "writer.committed", kind: "die before" }]],
    setup: { sink: "coordinated" },
  },
  "a task whose commit fails, and which is tried again": {
    kind: "coordination",
    runs: [[{ at: "writer.commit", kind: "fail" }]],
    setup: { sink: "coordinated" },
  },
  "a run that is killed in a commit of a task, before a run whose clock is slow": {
    kind: "coordination",
    runs: [[{ at: "writer.committed #2", kind: "stop before" }], []],
    setup: { sink: "coordinated", clockSkew: -110_000 },
  },
  "a run with a coordinated table": { kind: "coordination", runs: [[]], setup: { sink: "coordinated" } },
  "a rewind of the last batch": { kind: "history", runs: [[]], act: "rewind" },
} as const satisfies Readonly<Record<string, Case>>;

export type CaseName = keyof typeof NAMED_CASES;

export function isCaseName(text: string): text is CaseName {
  return Object.hasOwn(NAMED_CASES, text);
}
