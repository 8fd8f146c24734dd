import { runtime } from "../../local/home.ts";
import { parseDuration } from "../../shared/contract/duration.ts";
import { backfillProgress } from "../../shared/engine/backfill/state.ts";
import type { Batch, Head } from "../../shared/engine/ports/ledger.ts";
import { stageTasksOf } from "../../shared/engine/ports/stages.ts";
import { EXIT } from "../exit-codes.ts";
import { printable, printJson, printLine, styled } from "../render/terminal.ts";
import { describeAction, formatAge, plural } from "../render/text.ts";
import { type TargetFlags, withTarget } from "../targets/open.ts";
import { findPipelines, type TargetPipeline } from "../targets/target.ts";

/** What can be wrong with a pipeline. Each has an exit code; the highest one is the worst. */
const EXIT_CODES = {
  quarantine: EXIT.quarantine,
  late: EXIT.late,
  paused: EXIT.paused,
  failing: EXIT.failing,
} as const;

/** Something that is wrong with a pipeline. */
interface Problem {
  readonly kind: keyof typeof EXIT_CODES;
  /** One line that says why. */
  readonly why: string;
}

/** What the ledger knows of a pipeline when it is checked. */
interface Facts extends TargetPipeline {
  readonly head: Head | undefined;
  readonly open: Batch | undefined;
  /** When the newest batch was committed, in epoch milliseconds. */
  readonly committedAt: number | undefined;
  /** True for a backfill that has read its range. */
  readonly isDone: boolean;
  readonly now: number;
}

interface CheckFlags extends TargetFlags {
  readonly json?: boolean;
  readonly lateAfter?: string;
}

/**
 * `millrace status --check`: prints one line for each pipeline, and returns the exit code of the
 * worst problem, or 0.
 */
export async function checkCommand(pipeline: string | undefined, flags: CheckFlags): Promise<number> {
  return await withTarget(flags, async (target) => {
    let worst: number = EXIT.ok;
    for (const found of await findPipelines(target, pipeline)) {
      const facts = await factsOf(found);
      const problems = await problemsOf(facts, flags.lateAfter);
      const exitCode = Math.max(EXIT.ok, ...problems.map(({ kind }) => EXIT_CODES[kind]));
      worst = Math.max(worst, exitCode);
      if (flags.json) printJson(resultOf(facts, problems, exitCode));
      else printProblems(facts, problems);
    }
    return worst;
  });
}

async function factsOf({ name, ledger }: TargetPipeline): Promise<Facts> {
  const head = await ledger.head(name);
  const batch = async (id: number | undefined) =>
    id === undefined ? undefined : await ledger.batch(name, id);
  const [open, committed] = [await batch(head?.openBatchId), await batch(head?.lastCommittedBatchId)];
  const isDone = (await backfillProgress(ledger, name, head))?.done === true;
  return { name, ledger, head, open, committedAt: committed?.finishedAt, isDone, now: runtime.now() };
}

/** Returns what is wrong. Each new kind of problem is one more entry of the list. */
async function problemsOf(facts: Facts, lateAfter: string | undefined): Promise<readonly Problem[]> {
  // Nobody expects a paused pipeline to run: what was wrong before is told with the pause.
  if (facts.head?.paused !== undefined) return [pausedProblem(facts, facts.head.paused)];
  const isLate = lateAfter === undefined || facts.isDone ? undefined : await late(facts, lateAfter);
  const found = [failing(facts), isLate, quarantine(facts)];
  return found.filter((problem) => problem !== undefined);
}

function pausedProblem(facts: Facts, paused: NonNullable<Head["paused"]>): Problem {
  const before = failing(facts);
  const also = before === undefined ? "" : `; before that, ${before.why}`;
  return { kind: "paused", why: `${describeAction(paused)}${also}` };
}

/** A batch that failed and is not committed yet, or a run that could not plan one. */
function failing({ head, open, now }: Facts): Problem | undefined {
  if (open !== undefined && (open.error !== undefined || open.attempt > 1 || open.state === "aborted")) {
    const { batchId, attempt, state, error } = open;
    const cause = error === undefined ? "" : `: ${error.code}: ${printable(error.message)}`;
    const since = `first planned ${formatAge(now - open.firstPlannedAt)}`;
    return { kind: "failing", why: `batch ${batchId}, ${since}, attempt ${attempt} is ${state}${cause}` };
  }
  if (head?.planFailure === undefined) return undefined;
  const { at, error } = head.planFailure;
  const when = formatAge(now - at);
  return {
    kind: "failing",
    why: `no batch could be planned ${when}: ${error.code}: ${printable(error.message)}`,
  };
}

/** Rows that could not be written, and wait for a fix. */
function quarantine({ name, head }: Facts): Problem | undefined {
  const rows = head?.quarantinedRows ?? 0;
  if (rows === 0) return undefined;
  return { kind: "quarantine", why: `${plural(rows, "row")} in quarantine: millrace quarantine ${name}` };
}

/**
 * A pipeline is late if for so long no batch was committed or planned, no run found that there is
 * nothing new, and no task of an open batch moved a row.
 */
async function late(facts: Facts, lateAfter: string): Promise<Problem | undefined> {
  const { head, open, committedAt, now } = facts;
  const limit = parseDuration(lateAfter);
  const known = [committedAt, head?.lastIdleAt, open?.plannedAt].filter((time) => time !== undefined);
  const isRecent = (times: readonly number[]) => times.some((time) => now - time <= limit);
  if (isRecent(known)) return undefined;
  const moved = open === undefined ? [] : await movedAt(facts, open);
  if (isRecent(moved)) return undefined;
  const newest = Math.max(...known, ...moved);
  const since = Number.isFinite(newest)
    ? `nothing was committed or looked for since ${formatAge(now - newest)}`
    : "no run has looked for data yet";
  return { kind: "late", why: `${since} (--late-after ${lateAfter})` };
}

/** When the tasks of an open batch last ended or moved a row. */
async function movedAt({ ledger }: Facts, open: Batch): Promise<readonly number[]> {
  const stage = stageTasksOf(open);
  const ended = (await ledger.tasks(stage)).map(({ recordedAt }) => recordedAt);
  const running = (await ledger.progress(stage)).map(({ progressedAt }) => progressedAt);
  return [...ended, ...running].toSorted((a, b) => b - a).slice(0, 1);
}

function lastSeen({ head, committedAt, now }: Facts): string {
  const times: [string, number | undefined][] = [
    ["committed", committedAt],
    ["nothing new", head?.lastIdleAt],
  ];
  const [newest] = times
    .flatMap(([what, time]) => (time === undefined ? [] : [{ what, time }]))
    .toSorted((a, b) => b.time - a.time);
  return newest === undefined ? "no batch yet" : `${newest.what} ${formatAge(now - newest.time)}`;
}

function printProblems(facts: Facts, problems: readonly Problem[]): void {
  if (problems.length === 0) printLine([`${facts.name}: `, styled("green", "ok"), `: ${lastSeen(facts)}`]);
  else {
    const all = problems.map(({ kind, why }) => [styled("red", kind), `: ${why}`]);
    printLine([`${facts.name}: `, ...all.flatMap((text, i) => (i === 0 ? text : ["; ", ...text]))]);
  }
}

function resultOf({ name, head, committedAt }: Facts, problems: readonly Problem[], exitCode: number) {
  const iso = (time: number | undefined) => (time === undefined ? null : new Date(time).toISOString());
  return {
    pipeline: name,
    ok: problems.length === 0,
    exitCode,
    problems,
    committedAt: iso(committedAt),
    nothingNewAt: iso(head?.lastIdleAt),
  };
}
