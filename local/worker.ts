import { syncBuiltinESMExports } from "node:module";
import { Piscina } from "piscina";
import type { ErrorCode } from "../shared/contract/error-codes.ts";
import { toMillraceError } from "../shared/contract/errors.ts";
import { forbidExit, watchUncaught } from "../shared/engine/run/process-guard.ts";
import { taskLocation } from "../shared/engine/write/task-request.ts";
import { CODE, loadPipeline } from "./load-pipeline.ts";
import { SharedCode } from "./shared-code.ts";
import { ThreadTasks } from "./thread-tasks.ts";
import {
  type FromTask,
  type TaskAnswer,
  type TaskCall,
  type ToTask,
  toWire,
  type WorkerSetup,
} from "./wire.ts";

const setup = Piscina.workerData as WorkerSetup;
CODE.take(setup.code);
CODE.shareWith(new SharedCode(setup.codeFolder));
const tasks = new ThreadTasks(setup, () => loadPipeline(setup.entry));

// Keeps output of the user's code out of stdout, which belongs to the run.
process.stdout.write = process.stderr.write.bind(process.stderr) as typeof process.stdout.write;

/** Sends news of the current task, if there is one. */
let send: (news: FromTask) => void = () => undefined;

const allowExit = forbidExit(process, syncBuiltinESMExports);
watchUncaught(process, (error) => {
  send({ uncaught: toWire(error) });
  allowExit();
  process.exit(1);
});

/** Runs one writer task in this thread. Never rejects: it returns an error as the answer. */
export async function runTask({ request, port }: TaskCall): Promise<TaskAnswer> {
  const stopping = new AbortController();
  send = (news) => port.postMessage(news);
  port.on("message", (message: ToTask) => {
    if (message === "stop") stopping.abort();
  });
  try {
    const result = await tasks.run(request, {
      signal: stopping.signal,
      onProgress: (progress) => send({ progress }),
      onStalled: (stalled) => send({ stalled }),
    });
    return { result };
  } catch (thrown) {
    const error = toMillraceError(thrown, "TASK_FAILED", "the task failed", taskLocation(request), true);
    // A library may end the process because of a lost connection, which the next attempt has not.
    const retryable = error.retryable || error.code === ("PROCESS_EXIT" satisfies ErrorCode);
    return { error: toWire(error.with({ retryable })) };
  } finally {
    port.close();
  }
}
