import type { Case } from "./cases.ts";

export const NAMED_CASES = {
  "a run without a fault": { kind: "sequence", runs: [[]] },
} as const satisfies Readonly<Record<string, Case>>;

export type CaseName = keyof typeof NAMED_CASES;

export function isCaseName(text: string): text is CaseName {
  return Object.hasOwn(NAMED_CASES, text);
}
