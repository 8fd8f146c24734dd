import { ReadAllAvailable } from "../contract/read-limit.ts";
import type { CheckSourceOptions } from "./checks/source/subject.ts";
import { BATCH_TRAPS, SIMPLE_TRAPS, STREAM_TRAPS } from "./checks/source/traps.ts";
import { runTraps } from "./checks/trap.ts";
import { type CheckReport, Findings } from "./report.ts";
import { Surroundings } from "./surroundings.ts";
import { type ReaderMaker, readersOf, type SourceTarget } from "./target.ts";

/**
 * Checks a source for known mistakes: it asks for offsets twice, compares the rows of [a,b) and
 * [b,c) with those of [a,c), replays partitions, converts all values to JSON and back, and commits
 * twice. Resolves if it found no mistake. Error: `CHECK_FAILED`, a `CheckError` with each problem
 * and a hint how to fix it.
 */
export async function checkSource(
  target: SourceTarget,
  options: CheckSourceOptions = {},
): Promise<CheckReport> {
  const surroundings = new Surroundings(options);
  const findings = new Findings("the source");
  let makers: readonly ReaderMaker[] = [];
  const isMade = await findings.check("make the source", async () => {
    makers = await readersOf(target, options, surroundings);
  });
  if (!isMade) return findings.report();
  for (const maker of makers) {
    const tried = { options, surroundings, findings };
    if (maker.kind === "stream")
      await runTraps(STREAM_TRAPS, { ...maker, ...tried, limit: new ReadAllAvailable() });
    else if (maker.kind === "simple") await runTraps(SIMPLE_TRAPS, { ...maker, ...tried });
    else await runTraps(BATCH_TRAPS, { ...maker, ...tried });
  }
  return findings.report();
}
