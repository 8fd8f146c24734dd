import { encodeSchema } from "../shared/arrow/ipc-file.ts";
import { linkSignals } from "../shared/contract/abort.ts";
import { MillraceError } from "../shared/contract/errors.ts";
import { runBatches } from "../shared/engine/run/loop.ts";
import { unlessCrashed } from "../shared/engine/run/process-guard.ts";
import { checkBeforePlanning, openSessions } from "../shared/engine/sessions/open-sessions.ts";
import { stepsUnlessCrashed } from "./crash.ts";
import type { Home } from "./home.ts";
import { OwnerLock } from "./owner-lock.ts";
import { PlanningWatch } from "./planning-watch.ts";
import { RunCode } from "./run-code.ts";
import type { RunOptions } from "./run-options.ts";
import { LocalSteps } from "./steps.ts";
import { TaskPool, type TaskRunner } from "./task-pool.ts";
import type { WorkerSetup } from "./wire.ts";

/** Starts the runner of a run's tasks, which runs at most `threads` of them at once. */
export type StartTasks = (threads: number, setup: WorkerSetup) => TaskRunner;

/**
 * Runs a pipeline on this machine with the ledger and store of `home`, until its trigger has
 * nothing more to do. Errors: `LEASE_HELD`, `FENCED`, and any error that makes a batch fail. A
 * failed batch is aborted, and the next run replays it. `startTasks` starts the
 * runner of its tasks: threads, unless a test passes another.
 */
export async function run(options: RunOptions, startTasks: StartTasks = startThreads): Promise<void> {
  const { pipeline, home, trigger, signal, onEvent, crash = new AbortController().signal } = options;
  const ledger = await home.openLedger({ create: true });
  const ports = home.ports(pipeline.name, ledger);
  const lock = new OwnerLock(home.ownersFolder, ports.runtime.newId());
  // Keeps the process alive: if a promise of the user's code never settles, Node would exit as if
  // the run had succeeded.
  const alive = setInterval(() => undefined, 60_000);
  const code = new RunCode({
    pipeline: pipeline.name,
    entry: options.entry,
    home,
    runId: lock.owner.id,
    startedAt: ports.runtime.now(),
  });
  let steps: LocalSteps | undefined;
  const stopping = linkSignals(signal, crash);
  try {
    const watch = new PlanningWatch(options, ports);
    const opening = openSessions(pipeline, ports, { onCall: (method) => watch.recordCall(method) });
    const sessions = await unlessCrashed(crash, opening);
    const schema = await unlessCrashed(crash, checkBeforePlanning(sessions));
    await home.rememberEntry(pipeline.name, options.entry);
    const setup = {
      entry: options.entry,
      home: home.root,
      pipeline: pipeline.name,
      schema: encodeSchema(schema),
      stall: options.stall ?? {},
      code: code.snapshot,
      codeFolder: code.folder,
    };
    const pool = startTasks(options.maxConcurrency, setup);
    steps = new LocalSteps({ options, sessions, ports, lock, pool, watch, code });
    const kind = Object.keys(trigger).join();
    onEvent({ type: "started", pipeline: pipeline.name, home: home.root, trigger: kind });
    const control = { pipeline: pipeline.name, ports, signal: stopping.signal, onEvent };
    if (home.isReadableByOthers) onEvent({ type: "warning", error: readableByOthers(home).toRecord() });
    await runBatches(stepsUnlessCrashed(crash, steps), control);
    crash.throwIfAborted();
  } finally {
    // An error here would hide that of the run. What stays open ends with the process.
    const closing = [() => steps?.end(), () => code.end(), () => lock.release(), () => ledger.close()];
    for (const close of closing) await (async () => close())().catch(() => undefined);
    stopping.unlink();
    clearInterval(alive);
  }
}

function readableByOthers({ root }: Home): MillraceError {
  return new MillraceError("HOME_READABLE", `every user of this machine can look into the home ${root}`, {
    where: { path: root },
    hint: `It has offsets, rows and errors. Take the rights away: \`chmod -R o-rwx ${root}\`.`,
  });
}

function startThreads(threads: number, setup: WorkerSetup): TaskRunner {
  return new TaskPool(threads, setup);
}
