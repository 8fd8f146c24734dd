import { Piscina } from "piscina";
import { decodeSchema } from "../shared/arrow/ipc-file.ts";
import { toMillraceError } from "../shared/contract/errors.ts";
import type { Ports } from "../shared/engine/ports/runtime.ts";
import { openSessions, type Sessions } from "../shared/engine/sessions/open-sessions.ts";
import { placeOfTask, write } from "../shared/engine/write/task.ts";
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

// Keeps output of the user's code out of stdout, which belongs to the run.
process.stdout.write = process.stderr.write.bind(process.stderr) as typeof process.stdout.write;

let opened: Promise<Opened> | undefined;

/**
 * Opens the pipeline once per thread. Each thread has its own instances of source and sink and its
 * own connection to the ledger.
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
    // The next task in this thread tries again.
    opened = undefined;
    ledger.close();
    throw error;
  }
}

/** Runs one writer task in this thread. It never rejects: an error is returned as an answer. */
export async function runTask({ request, port }: TaskCall): Promise<TaskAnswer> {
  const stopping = new AbortController();
  const send = (news: FromTask) => port.postMessage(news);
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
        // Reports progress even if no record batch is full yet, so that a slow source's rows are
        // visible.
        onRunning: ({ rows, bytes }) => send({ progress: { rows, bytes } }),
        onStalled: (stalled) => send({ stalled }),
      },
      onProgress: (progress) => send({ progress }),
    });
    return { result };
  } catch (error) {
    return {
      error: toWire(toMillraceError(error, "TASK_FAILED", "the task failed", placeOfTask(request), true)),
    };
  } finally {
    port.close();
  }
}
