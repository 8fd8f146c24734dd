import { Piscina } from "piscina";
import { decodeSchema } from "../shared/arrow/ipc-file.ts";
import { toMillraceError } from "../shared/contract/errors.ts";
import type { Ports } from "../shared/engine/ports/runtime.ts";
import { openSessions, type Sessions } from "../shared/engine/sessions/open-sessions.ts";
import { taskLocation, write } from "../shared/engine/write/task.ts";
import { stallPolicyOf } from "../shared/engine/write/watch.ts";
import { Home } from "./home.ts";
import { loadPipeline } from "./load-pipeline.ts";
import {
  type FromTask,
  type TaskAnswer,
  type TaskCall,
  type ToTask,
  toWire,
  type WorkerSetup,
} from "./wire.ts";

const setup = Piscina.workerData as WorkerSetup;

interface Opened {
  readonly sessions: Sessions;
  readonly ports: Ports;
}

// What the user's code prints is no result: stdout is the run's.
process.stdout.write = process.stderr.write.bind(process.stderr) as typeof process.stdout.write;

let opened: Promise<Opened> | undefined;

/**
 * Opened once a thread: its own instance of the source and the sink, its own connection to the
 * ledger.
 */
async function openOnce(): Promise<Opened> {
  const home = new Home(setup.home);
  const ledger = await home.openLedger({ create: false });
  try {
    const ports = home.ports(setup.pipeline, ledger);
    const pipeline = await loadPipeline(setup.entry);
    const schema = decodeSchema(setup.schema);
    return { sessions: await openSessions(pipeline, ports, { schema }), ports };
  } catch (error) {
    // The next task of this thread tries again.
    opened = undefined;
    ledger.close();
    throw error;
  }
}

/** Runs one writer task in this thread. Never rejects: an error is an answer, with its place. */
export async function runTask({ request, port }: TaskCall): Promise<TaskAnswer> {
  const stopping = new AbortController();
  const tell = (news: FromTask) => port.postMessage(news);
  port.on("message", (message: ToTask) => {
    if (message === "stop") stopping.abort();
  });
  try {
    opened ??= openOnce();
    const { sessions, ports } = await opened;
    const result = await write(sessions, ports, request, {
      signal: stopping.signal,
      watch: {
        stall: stallPolicyOf(sessions.pipeline, setup.stall),
        // Also while no record batch is full: rows of a slow source count one by one.
        onRunning: ({ rows, bytes }) => tell({ progress: { rows, bytes } }),
        onStalled: (stalled) => tell({ stalled }),
      },
      onProgress: (progress) => tell({ progress }),
    });
    return { result };
  } catch (error) {
    return {
      error: toWire(toMillraceError(error, "TASK_FAILED", "the task failed", taskLocation(request), true)),
    };
  } finally {
    port.close();
  }
}
