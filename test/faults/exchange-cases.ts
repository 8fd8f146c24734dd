import type { Case } from "./cases.ts";

const setup = { exchanges: true } as const;

/** Cases of batches whose tasks exchange their rows. */
export const EXCHANGE_CASES = {
  "a run whose tasks exchange their rows": { kind: "exchange", runs: [[]], setup },
  "a task that cannot exchange its rows": {
    kind: "exchange",
    runs: [[{ at: "source.read #2", kind: "fail for good" }]],
    setup,
  },
  "a commit that fails for good after an exchange": {
    kind: "exchange",
    runs: [[{ at: "sink.commit", kind: "fail for good" }]],
    setup,
  },
  "a task that is killed when it has staged the rows that it exchanges": {
    kind: "exchange",
    runs: [[{ at: "ledger.recordTask", kind: "stop before" }]],
    setup,
  },
  "two attempts of a task that exchange its rows": {
    kind: "single",
    runs: [[{ at: "ledger.recordTask", kind: "overtaken before" }]],
    setup,
  },
} as const satisfies Readonly<Record<string, Case>>;

/** Cases that nothing breaks: a stage is planned from records that do not change. */
export const STAGE_CASES: readonly Case[] = [
  {
    kind: "exchange",
    runs: [[{ at: "ledger.planStage", kind: "sleep before" }], [{ at: "sink.write", kind: "fail for good" }]],
    setup,
  },
  { kind: "exchange", runs: [[{ at: "ledger.planStage", kind: "overtaken before" }]], setup },
  { kind: "exchange", runs: [[{ at: "ledger.planStage", kind: "straggle before" }]], setup },
  { kind: "exchange", runs: [[{ at: "ledger.planStage", kind: "lost answer" }]], setup },
  // A commit of the first attempt lands while the second one exchanges its rows.
  {
    kind: "exchange",
    runs: [[{ at: 22, kind: "late for good", after: 38 }], [{ at: 80, kind: "late for good", after: 40 }]],
    vacuums: true,
    setup: { source: "simple", exchanges: true },
  },
];
