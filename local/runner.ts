import { encodeSchema } from "../shared/arrow/ipc-file.ts";
import { runBatches } from "../shared/engine/run/loop.ts";
import { checkSinkOptions, openSessions } from "../shared/engine/sessions/open-sessions.ts";
import { OwnerLock } from "./owner-lock.ts";
import { PlanningWatch } from "./planning-watch.ts";
import type { RunOptions } from "./run-options.ts";
import { LocalSteps } from "./steps.ts";
import { TaskPool, type TaskRunner } from "./task-pool.ts";
import type { WorkerSetup } from "./wire.ts";

/**
 * Runs a pipeline here, on the ledger and the store of `home`, until its trigger is served. Errors:
 * `LEASE_HELD`, `FENCED`, and whatever made a batch fail; the batch is then aborted and will be
 * replayed by the next run. `startTasks` starts what runs its tasks: threads, unless a test says
 * otherwise.
 */
export async function run(
  options: RunOptions,
  startTasks: (threads: number, setup: WorkerSetup) => TaskRunner = startThreads,
): Promise<void> {
  const { pipeline, home, trigger, signal, onEvent } = options;
  const ledger = await home.openLedger({ create: true });
  const ports = home.ports(pipeline.name, ledger);
  const lock = new OwnerLock(home.ownersFolder, ports.runtime.newId());
  // A promise of the user's that never settles must not end the process as if the run were over.
  const alive = setInterval(() => undefined, 60_000);
  let steps: LocalSteps | undefined;
  try {
    const watch = new PlanningWatch(options, ports);
    const sessions = await openSessions(pipeline, ports, { onCall: (method) => watch.note(method) });
    const schema = await checkSinkOptions(sessions);
    await home.rememberEntry(pipeline.name, options.entry);
    const setup = {
      entry: options.entry,
      home: home.root,
      pipeline: pipeline.name,
      schema: encodeSchema(schema),
      stall: options.stall ?? {},
    };
    const pool = startTasks(options.maxConcurrency, setup);
    steps = new LocalSteps({ options, sessions, ports, lock, pool, watch });
    const kind = Object.keys(trigger).join();
    onEvent({ type: "started", pipeline: pipeline.name, home: home.root, trigger: kind });
    await runBatches(steps, { pipeline: pipeline.name, ports, signal, onEvent });
  } finally {
    await steps?.end();
    lock.release();
    ledger.close();
    clearInterval(alive);
  }
}

function startThreads(threads: number, setup: WorkerSetup): TaskRunner {
  return new TaskPool(threads, setup);
}
