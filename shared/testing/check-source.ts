import { ReadAllAvailable } from "../contract/read-limit.ts";
import type { CheckSourceOptions } from "./checks/source/subject.ts";
import { BATCH_TRAPS, SIMPLE_TRAPS, STREAM_TRAPS } from "./checks/source/traps.ts";
import { runTraps } from "./checks/trap.ts";
import { type CheckReport, Findings } from "./report.ts";
import { Surroundings } from "./surroundings.ts";
import { type ReaderFactory, readerFactoriesOf, type SourceTarget } from "./target.ts";

/**
 * Checks a source for known mistakes: it asks for offsets twice, compares the rows of [a,b) and
 * [b,c) with those of [a,c), replays partitions, converts all values to JSON and back, and commits
 * twice. Resolves if it found no mistake. Error: `CHECK_FAILED`, a `CheckError` that lists each
 * problem and how to fix it.
 */
export async function checkSource(
  target: SourceTarget,
  options: CheckSourceOptions = {},
): Promise<CheckReport> {
  const surroundings = new Surroundings(options);
  const findings = new Findings("the source");
  let factories: readonly ReaderFactory[] = [];
  const isMade = await findings.check("make the source", async () => {
    factories = await readerFactoriesOf(target, options, surroundings);
  });
  if (!isMade) return findings.report();
  for (const factory of factories) {
    const tried = { options, surroundings, findings };
    if (factory.kind === "stream")
      await runTraps(STREAM_TRAPS, { ...factory, ...tried, limit: new ReadAllAvailable() });
    else if (factory.kind === "simple") await runTraps(SIMPLE_TRAPS, { ...factory, ...tried });
    else await runTraps(BATCH_TRAPS, { ...factory, ...tried });
  }
  return findings.report();
}
