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

/** Cases of the step that plans a stage, which no mutation needs. */
export const STAGE_CASES = {
  "a run that sleeps before it plans a stage, while the next one fails in it": {
    kind: "exchange",
    runs: [[{ at: "ledger.planStage", kind: "sleep before" }], [{ at: "sink.write", kind: "fail for good" }]],
    setup,
  },
  "a step that plans a stage after its retry has planned it": {
    kind: "exchange",
    runs: [[{ at: "ledger.planStage", kind: "overtaken before" }]],
    setup,
  },
  "a plan of a stage whose answer is lost": {
    kind: "exchange",
    runs: [[{ at: "ledger.planStage", kind: "lost answer" }]],
    setup,
  },
  "a step that plans a stage when the run is over": {
    kind: "exchange",
    runs: [[{ at: "ledger.planStage", kind: "straggle before" }]],
    setup,
  },
  "a commit of the first attempt that lands while the second one exchanges its rows": {
    kind: "exchange",
    runs: [[{ at: 22, kind: "late for good", after: 38 }], [{ at: 80, kind: "late for good", after: 40 }]],
    vacuums: true,
    setup: { source: "simple", exchanges: true },
  },
} as const satisfies Readonly<Record<string, Case>>;
