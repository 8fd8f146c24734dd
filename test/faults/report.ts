import type { Result } from "./batch.ts";
import { KINDS, type Kind } from "./cases.ts";
import { fixedTotal } from "./mix.ts";

const MAX_SHOWN = 10;

/** The lines that a fault run prints. */
export interface Report {
  readonly lines: readonly string[];
  /** Failed cases, and kinds that had no case. */
  readonly problems: readonly string[];
}

/** Combines the results of all workers into one report. */
export function report(results: readonly Result[]): Report {
  const calls = results[0]?.calls ?? [];
  const sum = (of: "cases" | "failed", kind: Kind) =>
    results.reduce((total, result) => total + (result[of][kind] ?? 0), 0);
  const total = (of: "cases" | "failed") => KINDS.reduce((all, kind) => all + sum(of, kind), 0);
  const line = (kind: Kind) => {
    const fixed = fixedTotal(kind, calls);
    const covered = grouped(sum("cases", kind)) + (fixed === undefined ? "" : ` of ${grouped(fixed)}`);
    return `${kind.padEnd(12)} ${covered.padStart(14)} cases, ${sum("failed", kind)} failed`;
  };
  const failures = results.flatMap((result) => result.failures);
  return {
    lines: [
      `fault points ${calls.length}`,
      ...KINDS.map(line),
      `${grouped(total("cases"))} cases, ${total("failed")} failed`,
    ],
    problems: [
      ...KINDS.filter((kind) => sum("cases", kind) === 0).map((kind) => `no case of kind ${kind} was run`),
      ...failures
        .slice(0, MAX_SHOWN)
        .map(({ test, violations }) => `${violations.join("; ")}\n  --case '${JSON.stringify(test)}'`),
      ...(failures.length > MAX_SHOWN ? [`${failures.length - MAX_SHOWN} more cases failed`] : []),
    ],
  };
}

function grouped(count: number): string {
  return count.toLocaleString("en");
}
