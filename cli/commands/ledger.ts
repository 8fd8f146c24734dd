import { Home, runtime } from "../../local/home.ts";
import { hasEnded } from "../../local/owner-lock.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import type { Batch, Head } from "../../shared/ledger/ledger.ts";
import type { SqliteLedger } from "../../shared/ledger/sqlite.ts";
import { formatBytes, formatCount, formatDuration, formatOffset, formatTable } from "../render/text.ts";

interface Flags {
  readonly home: string;
  readonly json?: boolean;
}

/** `millrace batches`: the newest batches, newest last. */
export async function batchesCommand(
  pipeline: string | undefined,
  flags: Flags & { readonly limit: number },
): Promise<void> {
  await withLedger(flags, async (ledger) => {
    for (const name of await named(ledger, pipeline)) {
      const batches = [...(await ledger.batches(name, { limit: flags.limit }))].reverse();
      if (flags.json) for (const batch of batches) printJson(publicBatch(batch));
      else process.stdout.write(`${name}\n${batchTable(batches)}\n`);
    }
  });
}

/** `millrace status`: where each pipeline is. */
export async function statusCommand(pipeline: string | undefined, flags: Flags): Promise<void> {
  const home = new Home(flags.home);
  await withLedger(flags, async (ledger) => {
    for (const name of await named(ledger, pipeline)) {
      const head = await ledger.head(name);
      if (head === undefined) continue;
      const status = await statusOf(home, ledger, head);
      if (flags.json) printJson(status);
      else process.stdout.write(`${describe(status)}\n`);
    }
  });
}

interface Status {
  readonly pipeline: string;
  readonly state: "idle" | "running" | "batch open";
  readonly runner: string | null;
  readonly offset: Head["offset"] | null;
  readonly lastCommittedBatchId: number | null;
  readonly openBatch: (ReturnType<typeof publicBatch> & { readonly tasksDone: number }) | null;
  /** The batch whose `commit(end)` the source has still to be told. */
  readonly unacknowledgedBatchId: number | null;
  readonly incarnation: string;
  readonly epoch: number;
}

async function statusOf(home: Home, ledger: SqliteLedger, head: Head): Promise<Status> {
  const { lease } = head;
  const isRunning =
    lease !== undefined &&
    lease.expiresAt > runtime.now() &&
    !(await hasEnded(home.ownersFolder, lease.owner));
  const open =
    head.openBatchId === undefined ? undefined : await ledger.batch(head.pipeline, head.openBatchId);
  return {
    pipeline: head.pipeline,
    state: isRunning ? "running" : open === undefined ? "idle" : "batch open",
    runner: isRunning ? lease.owner.description : null,
    offset: head.offset ?? null,
    lastCommittedBatchId: head.lastCommittedBatchId ?? null,
    openBatch: open === undefined ? null : { ...publicBatch(open), tasksDone: await tasksDone(ledger, open) },
    unacknowledgedBatchId: head.unacknowledged?.batchId ?? null,
    incarnation: head.incarnation,
    epoch: head.epoch,
  };
}

/** Tasks that the next run need not do again; an aborted attempt has none. */
async function tasksDone(ledger: SqliteLedger, batch: Batch): Promise<number> {
  return batch.state === "aborted" ? 0 : (await ledger.tasks(batch)).length;
}

function describe(status: Status): string {
  const lines = [`${status.pipeline}: ${status.state}${status.runner === null ? "" : ` (${status.runner})`}`];
  lines.push(`  offset         ${formatOffset(status.offset ?? undefined)}`);
  lines.push(
    `  last committed ${status.lastCommittedBatchId === null ? "-" : `batch ${status.lastCommittedBatchId}`}`,
  );
  const { openBatch } = status;
  if (openBatch !== null) {
    lines.push(
      `  open           batch ${openBatch.batchId}, attempt ${openBatch.attempt}, ${openBatch.state}, ${openBatch.tasksDone} of ${openBatch.partitions} partitions written`,
    );
    if (openBatch.error !== null)
      lines.push(`  last error     ${openBatch.error.code}: ${openBatch.error.message}`);
  }
  if (status.unacknowledgedBatchId !== null) {
    lines.push(`  to acknowledge batch ${status.unacknowledgedBatchId}: the next run tells the source`);
  }
  return lines.join("\n");
}

function batchTable(batches: readonly Batch[]): string {
  return formatTable(
    ["batch", "from", "to", "partitions", "rows", "bytes", "time", "attempt", "state", "error"],
    batches.map((batch) => [
      String(batch.batchId),
      formatOffset(batch.start),
      formatOffset(batch.end),
      String(batch.tasks),
      batch.progress === undefined ? "-" : formatCount(batch.progress.rows),
      batch.progress === undefined ? "-" : formatBytes(batch.progress.bytes),
      batch.finishedAt === undefined ? "-" : formatDuration(batch.finishedAt - batch.plannedAt),
      String(batch.attempt),
      batch.state,
      batch.error?.code ?? "",
    ]),
  );
}

/** A batch as `--json` prints it: without the engine's own business. */
function publicBatch(batch: Batch) {
  return {
    pipeline: batch.pipeline,
    batchId: batch.batchId,
    attempt: batch.attempt,
    state: batch.state,
    start: batch.start,
    end: batch.end,
    partitions: batch.tasks,
    rows: batch.progress?.rows ?? null,
    bytes: batch.progress?.bytes ?? null,
    plannedAt: new Date(batch.plannedAt).toISOString(),
    finishedAt: batch.finishedAt === undefined ? null : new Date(batch.finishedAt).toISOString(),
    error: batch.error ?? null,
  };
}

async function withLedger(flags: Flags, body: (ledger: SqliteLedger) => Promise<void>): Promise<void> {
  const ledger = await new Home(flags.home).openLedger({ create: false });
  try {
    await body(ledger);
  } finally {
    ledger.close();
  }
}

/** The pipeline of that name, or all. */
async function named(ledger: SqliteLedger, pipeline: string | undefined): Promise<readonly string[]> {
  const all = await ledger.pipelines();
  if (pipeline === undefined) return all;
  if (all.includes(pipeline)) return [pipeline];
  throw new MillraceError(
    "PIPELINE_NOT_FOUND",
    `no pipeline "${pipeline}" has run here (${all.join(", ") || "none has"})`,
    {
      hint: "Check the name and --home.",
    },
  );
}

function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
