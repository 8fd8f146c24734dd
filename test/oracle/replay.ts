import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Home } from "../../local/home.ts";
import type { Trigger } from "../../shared/contract/trigger.ts";
import { stepOf } from "./batch-step.ts";
import { environmentOf, type Job, type Until } from "./job.ts";
import { runJobHere } from "./run.ts";
import { type Args, type Checkpoint, countIdlePolls, type Entry, type Run, runsOf } from "./trace.ts";

const PROGRAM = fileURLToPath(new URL("run-job.ts", import.meta.url));

/** Time limit of a run. A run that takes longer counts as different. */
const LONGEST_RUN_MILLISECONDS = 60_000;

/**
 * The interval of each trigger. It is the shortest that the contract allows, because the comparison
 * ignores times.
 */
const INTERVAL = "100 milliseconds";

/**
 * Replays a scenario with the engine. Each run is in this process, unless a fault kills the run's
 * process or blocks a thread. The runs of a query share one ledger, and each action of a batch has
 * a ledger for itself.
 */
export async function replay(expected: readonly Run[]): Promise<Run[]> {
  const folder = mkdtempSync(join(tmpdir(), "millrace-oracle-"));
  try {
    const runs: Run[] = [];
    const maxAttempts = maxAttemptsOf(expected);
    for (const [i, run] of expected.entries()) {
      const home = join(folder, run.isBatch ? `home-${i}` : "home");
      const trace = join(folder, `${i}.jsonl`);
      const batch = run.isBatch ? stepOf(run, expected) : undefined;
      const job = { ...jobOf(run, { home, maxAttempts, trace }), ...(batch === undefined ? {} : { batch }) };
      await (needsProcess(job) ? start(job) : runJobHere(job));
      runs.push(await readRun(job, run));
    }
    return runs;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function jobOf(
  run: Run,
  { home, maxAttempts, trace }: { home: string; maxAttempts: number; trace: string },
): Job {
  const { start, source } = run;
  const trigger = triggerOf(start.trigger);
  return {
    trace,
    home,
    source,
    ropts: asText(start.ropts),
    wopts: asText(start.wopts),
    trigger,
    maxAttempts,
    ...("processingTime" in trigger ? { until: endOf(run) } : {}),
  };
}

/**
 * Returns the time at which the driver ended a run. It is derived from the calls, because no option
 * contains it. A run that failed would have continued after its last batch.
 */
function endOf({ driver, ended }: Run): Until {
  const idle = countIdlePolls(driver);
  const batch = driver.filter(({ call }) => call === "writer.commit:return").length;
  return idle === 0 && batch > 0 && ended?.failed === false ? { batch } : { idle: Math.max(1, idle) };
}

/** Converts options to text, as Spark does. */
export function asText(options: Args): Record<string, string> {
  const text = Object.entries(options).map(([name, value]) => [name, String(value)] as const);
  return Object.fromEntries(text);
}

function triggerOf(trigger: Run["start"]["trigger"]): Trigger {
  const flags = trigger as { readonly once?: true; readonly availableNow?: true } | string;
  if (typeof flags === "object" && flags.once === true) return { once: true };
  if (typeof flags === "object" && flags.availableNow === true) return { availableNow: true };
  return { processingTime: INTERVAL };
}

/**
 * Returns the number of attempts that Spark makes of a task. The recording has no such setting, so
 * the number comes from the last attempt of a task that failed for good.
 */
function maxAttemptsOf(runs: readonly Run[]): number {
  return 1 + Math.max(0, ...runs.flatMap(({ tasks }) => tasks.map(({ attempt }) => attempt)));
}

function needsProcess({ ropts, wopts, batch }: Job): boolean {
  const options = [ropts, wopts, batch?.options ?? {}];
  return options.some((given) => /"(?:kill_jvm|sleep)"/.test(given["fault"] ?? ""));
}

async function start(job: Job): Promise<void> {
  const child = spawn(process.execPath, [PROGRAM], {
    env: { ...process.env, ...environmentOf(job) },
    stdio: ["ignore", "ignore", "pipe"],
    timeout: LONGEST_RUN_MILLISECONDS,
    killSignal: "SIGKILL",
  });
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  // A killed process has no exit code. The comparison decides if the kill was expected.
  if (code !== null && code !== 0) throw new Error(`the run ended with code ${code}:\n${stderr}`);
}

async function readRun(job: Job, { start, source, isBatch }: Run): Promise<Run> {
  const lines = readFileSync(job.trace, "utf8").trimEnd().split("\n");
  const entries = lines.map((line) => JSON.parse(line) as Entry);
  const begun = { call: isBatch ? "== driver: a batch" : "== driver: start query", args: {} };
  const [run] = runsOf([begun, ...entries], isBatch);
  if (run === undefined) throw new Error("the run left no trace");
  return { ...run, start, source, checkpoint: isBatch ? undefined : await readCheckpoint(job.home) };
}

/** Returns the content of the ledger in the form of Spark's checkpoint. */
async function readCheckpoint(home: string): Promise<Checkpoint> {
  const ledger = await new Home(home).openLedger({ create: false });
  try {
    const batches = await ledger.batches("numbers", { limit: 1000 });
    const committed = batches.filter(({ state }) => state === "committed");
    return {
      offsets: Object.fromEntries(batches.map(({ batchId, end }) => [batchId, end])),
      commits: committed.map(({ batchId }) => String(batchId)).sort(),
    };
  } finally {
    ledger.close();
  }
}
