import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout } from "node:timers/promises";
import { Home, runtime } from "../../local/home.ts";
import { hasEnded, OwnerLock } from "../../local/owner-lock.ts";
import { runTasks } from "../../local/run-tasks.ts";
import { run } from "../../local/runner.ts";
import type { TaskListener, TaskRunner } from "../../local/task-pool.ts";
import { ArrowTable } from "../../shared/connectors/arrow-table/index.ts";
import { Rate } from "../../shared/connectors/rate/index.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import { pipeline } from "../../shared/contract/pipeline.ts";
import type { BatchRun, Ledger } from "../../shared/engine/ports/ledger.ts";
import type { Ports } from "../../shared/engine/ports/runtime.ts";
import type { TaskResult, WriteRequest } from "../../shared/engine/write/task-request.ts";
import { SqliteConnection } from "../../shared/platform/embedded/sqlite-connection.ts";
import { MemoryLedger } from "../exhaustive/memory-ledger.ts";
import { pausesOfBatches } from "./pause-probe.ts";
import { runAfterPowerLoss, storeAfterPowerLoss } from "./power-loss.ts";
import { refusedRows } from "./refused-probe.ts";
import { memoryChanges, memoryRows } from "./row-level-probes.ts";

/** Longer than anything that a probe waits for takes, even on a busy machine. */
const LONG_MILLISECONDS = 1000;

/**
 * Tries of parts of the engine that no case reaches, such as the disk and the local runner. Each
 * returns what is broken. A mutation may name one in the place of a case.
 */
export const PROBES = {
  "a loss of power after any change of the store's folder": storeAfterPowerLoss,
  "a loss of power at any moment of a run in a home": runAfterPowerLoss,
  "the settings of the ledger's connection": settingsOfLedger,
  "a task that fails beside one that takes long": failingTask,
  "a task whose thread dies while it may commit": dyingTask,
  "a slow task with two attempts": slowTask,
  "a run that ends while a task still writes": endingRun,
  "a dead run's lock that another process probes": probedLock,
  "changes of rows in memory": memoryRows,
  "late changes in memory": memoryChanges,
  "a batch that fails again and again": pausesOfBatches,
  "a kill after a commit that left a row out": refusedRows,
} as const satisfies Readonly<Record<string, () => Promise<readonly string[]>>>;

export type ProbeName = keyof typeof PROBES;

export async function runProbe(name: ProbeName): Promise<readonly string[]> {
  try {
    return await PROBES[name]();
  } catch (error) {
    return [`the probe could not be run: ${error instanceof Error ? error.stack : String(error)}`];
  }
}

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "millrace-probe-"));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** SQLite's own files cannot be watched from JavaScript, so the connection itself is asked. */
async function settingsOfLedger(): Promise<readonly string[]> {
  return await inFolder(async (folder) => {
    const connection = new SqliteConnection(join(folder, "ledger.sqlite"));
    const setting = (name: string) => connection.one(`PRAGMA ${name}`, {})?.[name];
    const settings = { synchronous: setting("synchronous"), journal: setting("journal_mode") };
    connection.close();
    // 2 is FULL: a transaction is on disk when it is committed.
    return [
      ...(settings.synchronous === 2 ? [] : ["a committed transaction may be lost with the power"]),
      ...(settings.journal === "wal" ? [] : ["status cannot read while a run writes"]),
    ];
  });
}

const NO_TASK = new MillraceError("TASK_FAILED", "the task failed");

/** One task fails, and the batch is lost. The others must not work on. */
async function failingTask(): Promise<readonly string[]> {
  const broken: string[] = [];
  const pool: TaskRunner = {
    async run({ partition }: WriteRequest, { signal }: TaskListener): Promise<TaskResult> {
      if (partition > 1) broken.push("a task of a batch that is lost is begun");
      if (partition === 0) throw NO_TASK;
      await setTimeout(LONG_MILLISECONDS, undefined, { signal }).catch(() => undefined);
      if (!signal.aborted) broken.push("a task of a batch that is lost works on");
      throw NO_TASK;
    },
    destroy: async () => undefined,
  };
  await runTasks(pool, { runtime } as Ports, {
    run: { pipeline: "p", incarnation: "i", epoch: 1, batchId: 0, attempt: 1, partitionsKey: "k" },
    todo: [0, 1, 2],
    partitions: 3,
    maxConcurrency: 2,
    maxAttempts: 1,
    signal: new AbortController().signal,
    onEvent: () => undefined,
  });
  return broken;
}

const RUN: BatchRun = {
  pipeline: "p",
  incarnation: "i",
  epoch: 1,
  batchId: 0,
  attempt: 1,
  partitionsKey: "k",
  write: { factory: {}, isCoordinated: true, inputPartitions: 1, plannedAt: 0 },
};

/** Runs the tasks of a batch with attempts that `attempt` makes. */
async function runAttempts(
  ledger: Ledger,
  partitions: number,
  attempt: (request: WriteRequest, listener: TaskListener) => Promise<unknown>,
): Promise<void> {
  const pool: TaskRunner = {
    async run(request, listener) {
      await attempt(request, listener);
      const { partition } = request;
      return { partition, rows: 0, bytes: 0, milliseconds: 0, won: true };
    },
    destroy: async () => undefined,
  };
  await runTasks(pool, { runtime, ledger } as Ports, {
    run: RUN,
    todo: Array.from({ length: partitions }, (_, partition) => partition),
    partitions,
    maxConcurrency: partitions,
    maxAttempts: 2,
    speculation: { intervalMs: 5, quantile: 0, multiplier: 1, minRuntimeMs: 10 },
    signal: new AbortController().signal,
    onEvent: () => undefined,
  });
}

/** No other attempt could commit before the claim of the dead one expires. */
async function dyingTask(): Promise<readonly string[]> {
  const broken: string[] = [];
  const ledger = new MemoryLedger();
  await runAttempts(ledger, 1, async ({ partition, attemptNumber, run }) => {
    const claim = { writerId: String(attemptNumber), attemptNumber, epoch: run.epoch, expiresAt: 10 };
    const { granted } = await ledger.authorizeCommit({ ...run, partition }, claim, 0);
    if (attemptNumber === 0) throw new MillraceError("WORKER_DIED", "died", { retryable: true });
    if (!granted) broken.push("the attempt after one that died may not commit");
  });
  return broken;
}

/** The first attempt of a task hangs until it is told to stop, and then for a while. */
async function slowTask(): Promise<readonly string[]> {
  const broken: string[] = [];
  const ending = Promise.withResolvers<void>();
  let isOver = false;
  let isStopped = false;
  const batch = runAttempts(new MemoryLedger(), 2, async ({ partition, attemptNumber }, { signal }) => {
    if (partition === 0 || attemptNumber > 0) return;
    signal.addEventListener("abort", () => {
      isStopped = true;
    });
    await ending.promise;
    isOver = true;
  });
  const isLate = setTimeout(LONG_MILLISECONDS).then(() => true);
  if (await Promise.race([batch.then(() => false), isLate]))
    broken.push("the batch waits for an attempt that was overtaken");
  if (!isStopped) broken.push("the attempt that was overtaken works on");
  if (isOver) broken.push("the attempt was not overtaken");
  ending.resolve();
  await batch;
  return broken;
}

/** The lock says that the run is alive, as long as one of its tasks may write. */
async function endingRun(): Promise<readonly string[]> {
  return await inFolder(async (folder) => {
    const home = new Home(join(folder, "home"));
    const broken: string[] = [];
    let hasEndedTasks = false;
    const pool: TaskRunner = {
      run: () => Promise.reject(NO_TASK),
      async destroy() {
        hasEndedTasks = true;
        const [lock = ""] = readdirSync(home.ownersFolder);
        const owner = { id: lock.replace(/\.lock$/, ""), description: "the run" };
        if (await hasEnded(home.ownersFolder, owner))
          broken.push("the lock of a run is free while its tasks may still write");
      },
    };
    const options = {
      pipeline: pipeline("ending")
        .readStream.format(Rate)
        .options({ rowsPerSecond: 10 })
        .writeStream.format(ArrowTable),
      entry: join(folder, "pipeline.ts"),
      home,
      trigger: { once: true } as const,
      maxConcurrency: 1,
      maxAttempts: 1,
      signal: new AbortController().signal,
      onEvent: () => undefined,
    };
    await run(options as never, () => pool).catch(() => undefined);
    return hasEndedTasks ? broken : ["the run has not begun"];
  });
}

/** Another process looks whether the dead run is alive, and holds its lock for a moment. */
async function probedLock(): Promise<readonly string[]> {
  return await inFolder(async (folder) => {
    const lock = new OwnerLock(folder, "dead");
    lock.release();
    const other = new DatabaseSync(join(folder, "dead.lock"));
    other.exec("BEGIN EXCLUSIVE");
    const ended = hasEnded(folder, lock.owner);
    await setTimeout(10);
    other.close();
    return (await ended) ? [] : ["a dead run is taken for one that lives"];
  });
}
