import { runtime } from "../../local/home.ts";
import type { ErrorRecord } from "../../shared/contract/errors.ts";
import { type BackfillProgress, backfillProgress } from "../../shared/engine/backfill/state.ts";
import type { Batch, Head, Lease, Ledger } from "../../shared/engine/ports/ledger.ts";
import type { Action, JournalEntry } from "../../shared/engine/ports/manual-operations.ts";
import { stageTasksOf } from "../../shared/engine/ports/stages.ts";
import { withIsoTime } from "../person.ts";
import { publicBatch } from "../render/batch.ts";
import { describeRunning, publicRunning, runningOf } from "../render/partition.ts";
import { printable, printJson, printLine } from "../render/terminal.ts";
import { describeAction, formatFields, formatOffset, formatTime } from "../render/text.ts";
import { type TargetFlags, withTarget } from "../targets/open.ts";
import { findPipelines, liveLease, type Target, type TargetPipeline } from "../targets/target.ts";

/** Maximum number of running partitions that are shown for a batch. */
const MAX_RUNNING = 5;

interface StatusFlags extends TargetFlags {
  readonly json?: boolean;
}

/** `millrace status`: prints the state of each pipeline. */
export async function statusCommand(pipeline: string | undefined, flags: StatusFlags): Promise<void> {
  await withTarget(flags, async (target) => {
    for (const found of await findPipelines(target, pipeline)) {
      const status = await statusOf(target, found);
      if (flags.json) printJson(status);
      else printLine(describe(status));
    }
  });
}

interface Status {
  readonly pipeline: string;
  readonly state: "new" | "idle" | "running" | "paused" | "batch open";
  readonly runner: string | null;
  readonly paused: ReturnType<typeof withIsoTime<Action>> | null;
  readonly offset: Head["offset"] | null;
  readonly lastCommittedBatchId: number | null;
  /** The range of time that the last run of a batch pipeline has read. */
  readonly range: Batch["range"] | null;
  readonly openBatch: (ReturnType<typeof publicBatch> & Tasks) | null;
  /** The batch for which the source's `commit(end)` has not been called successfully yet. */
  readonly unacknowledgedBatchId: number | null;
  /** When a run last found that there is no new data. */
  readonly nothingNewAt: string | null;
  /** Why the last run could not plan a batch. */
  readonly planFailure: { readonly at: string; readonly error: ErrorRecord } | null;
  readonly lastAction: ReturnType<typeof withIsoTime<JournalEntry>> | null;
  /** The range that a backfill reads; null for any other pipeline. */
  readonly backfill: BackfillProgress | null;
  /** Names of the pipeline's backfills. */
  readonly backfills: readonly string[];
  readonly incarnation: string | null;
  readonly epoch: number;
}

async function statusOf(target: Target, { name, ledger }: TargetPipeline): Promise<Status> {
  const head = await ledger.head(name);
  const lease = head && (await liveLease(target, head));
  const open = head?.openBatchId === undefined ? undefined : await ledger.batch(name, head.openBatchId);
  const [lastAction] = await ledger.journal(name, { limit: 1 });
  return {
    pipeline: name,
    state: stateOf(head, lease),
    runner: lease?.owner.description ?? null,
    paused: head?.paused === undefined ? null : withIsoTime(head.paused),
    offset: head?.offset ?? null,
    lastCommittedBatchId: head?.lastCommittedBatchId ?? null,
    ...(await rangesOf(ledger, name, head)),
    openBatch: open === undefined ? null : { ...publicBatch(open), ...(await tasksOf(ledger, open)) },
    unacknowledgedBatchId: head?.unacknowledged?.batchId ?? null,
    nothingNewAt: head?.lastIdleAt === undefined ? null : new Date(head.lastIdleAt).toISOString(),
    planFailure: head?.planFailure === undefined ? null : withIsoTime(head.planFailure),
    lastAction: lastAction === undefined ? null : withIsoTime(lastAction),
    incarnation: head?.incarnation ?? null,
    epoch: head?.epoch ?? 0,
  };
}

async function rangesOf(
  ledger: Ledger,
  name: string,
  head: Head | undefined,
): Promise<Pick<Status, "range" | "backfill" | "backfills">> {
  return {
    range: (await lastRange(ledger, head)) ?? null,
    backfill: (await backfillProgress(ledger, name, head)) ?? null,
    backfills: head?.backfills?.map((claim) => claim.name) ?? [],
  };
}

async function lastRange(ledger: Ledger, head: Head | undefined): Promise<Batch["range"]> {
  if (head?.identity?.kind !== "batch" || head.lastCommittedBatchId === undefined) return undefined;
  return (await ledger.batch(head.pipeline, head.lastCommittedBatchId))?.range;
}

function stateOf(head: Head | undefined, lease: Lease | undefined): Status["state"] {
  if (head === undefined) return "new";
  if (lease !== undefined) return "running";
  if (head.paused !== undefined) return "paused";
  return head.openBatchId === undefined ? "idle" : "batch open";
}

/** The tasks of an open batch. */
interface Tasks {
  /** Number of tasks that the next run does not repeat; 0 for an aborted attempt. */
  readonly tasksDone: number;
  /**
   * The tasks that have reported progress, sorted by the time since their last progress, longest
   * first.
   */
  readonly running: readonly ReturnType<typeof publicRunning>[];
}

async function tasksOf(ledger: Ledger, batch: Batch): Promise<Tasks> {
  if (batch.state === "aborted") return { tasksDone: 0, running: [] };
  const stage = stageTasksOf(batch);
  const tasks = await ledger.tasks(stage);
  const running = await runningOf(ledger, stage, tasks);
  const now = runtime.now();
  return { tasksDone: tasks.length, running: running.map((each) => publicRunning(each, now)) };
}

function describe(status: Status): string {
  const { openBatch, paused, lastAction } = status;
  const lines: [string, string][] = [];
  if (paused !== null) lines.push(["paused", describeAction(paused)]);
  lines.push(...rangeLines(status));
  lines.push(["offset", formatOffset(status.offset ?? undefined)]);
  lines.push([
    "last committed",
    status.lastCommittedBatchId === null ? "-" : `batch ${status.lastCommittedBatchId}`,
  ]);
  if (openBatch !== null) lines.push(...openBatchLines(status.pipeline, openBatch));
  if (status.unacknowledgedBatchId !== null)
    lines.push(["to acknowledge", `batch ${status.unacknowledgedBatchId}: the next run tells the source`]);
  if (status.nothingNewAt !== null) lines.push(["nothing new", `at ${formatTime(status.nothingNewAt)}`]);
  if (status.planFailure !== null) {
    const { at, error } = status.planFailure;
    lines.push(["not planned", `at ${formatTime(at)}: ${error.code}: ${error.message}`]);
    if (error.hint !== undefined) lines.push(["do", error.hint]);
  }
  if (status.backfills.length > 0) lines.push(["backfills", status.backfills.join(", ")]);
  if (lastAction !== null)
    lines.push(["last action", `${lastAction.action} ${describeAction(lastAction)}${moved(lastAction)}`]);
  const runner = status.runner === null ? "" : ` (${status.runner})`;
  return `${status.pipeline}: ${status.state}${runner}\n${formatFields(lines)}`;
}

/** The range of a backfill, or the one that the last run of a batch pipeline has read. */
function rangeLines({ backfill, range }: Status): [string, string][] {
  const lines: [string, string][] = [];
  if (range) lines.push(["range", `${printable(range.from)} to ${printable(range.to)}`]);
  if (backfill === null) return lines;
  const { pipeline, from, to, chunk, done, percent } = backfill;
  lines.push(["backfill", `of ${pipeline}: ${printable(from)} to ${printable(to)}, ${chunk} a batch`]);
  lines.push(["progress", done ? "done" : `${percent} % of it is read`]);
  return lines;
}

function openBatchLines(pipeline: string, openBatch: NonNullable<Status["openBatch"]>): [string, string][] {
  const lines: [string, string][] = [];
  const { batchId, attempt, state, tasksDone, partitions, exchanges, error } = openBatch;
  const isExchange = exchanges !== null && exchanges.done < exchanges.count;
  const tasks = `${tasksDone} of ${partitions} partitions ${isExchange ? "exchanged" : "written"}`;
  lines.push(["open", `batch ${batchId}, attempt ${attempt}, ${state}, ${tasks}`]);
  for (const running of openBatch.running.slice(0, MAX_RUNNING))
    lines.push([`partition ${running.partition}`, describeRunning(running)]);
  const more = openBatch.running.length - MAX_RUNNING;
  if (more > 0) lines.push(["", `and ${more} more: millrace batch ${batchId} ${pipeline}`]);
  if (error !== null) lines.push(["last error", `${error.code}: ${error.message}`]);
  for (const { code, message } of error?.also ?? []) lines.push(["later", `${code}: ${message}`]);
  return lines;
}

function moved({ from, to }: Pick<JournalEntry, "from" | "to">): string {
  return to === undefined ? "" : `: ${formatOffset(from)} → ${formatOffset(to)}`;
}
