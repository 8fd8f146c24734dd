import { MillraceError } from "../contract/errors.ts";
import { schemaOrCurrent } from "./batch-schema.ts";
import { CallWatch } from "./call-watch.ts";
import { batchLocation, type LostTask, messagesOf } from "./messages.ts";
import { isOfPlan } from "./plan-tasks.ts";
import type { Batch, Fence, Head } from "./ports/ledger.ts";
import { positionOf } from "./ports/position.ts";
import type { Ports } from "./ports/runtime.ts";
import { stageTasksOf } from "./ports/stages.ts";
import type { Task } from "./ports/tasks.ts";
import { callOrReadBack } from "./retry.ts";
import type { Sessions } from "./sessions/open-sessions.ts";
import type { ShuffleOutput } from "./shuffle/spec.ts";
import { checkedMessages, lossOf, lossWarning } from "./staged-files.ts";

/** The tasks of an attempt that need not run again. */
export interface FinishedTasks {
  readonly tasks: readonly Task[];
  /** Says what is gone of tasks that must run again. */
  readonly warning?: MillraceError;
}

/**
 * Returns the finished tasks of an attempt that is not decided. Records of tasks whose message or
 * staged files are gone or damaged are deleted, so that these tasks run again and no others.
 */
export async function finishedTasks(
  sessions: Sessions,
  ports: Ports,
  fence: Fence,
  head: Head,
  batch: Batch,
): Promise<FinishedTasks> {
  const tasks = await recordedTasks(ports, fence, batch);
  const context = sessions.sink.batchContext(batch, { ...head, position: positionOf(head) });
  const watch = new CallWatch(ports.runtime, undefined);
  const asked = await sessions.sink.asked(await schemaOrCurrent(sessions, ports, batch));
  const { lost } = await checkedMessages(ports, { batch, tasks }, { context, watch, asked });
  return await withoutLost(ports, fence, batch, tasks, lost, "its rows are written again");
}

/**
 * Like `finishedTasks`, for tasks that have exchanged their rows. A file that is gone or has
 * another size costs its task another run, as long as no task has begun to read it.
 */
export async function finishedExchanges(
  _sessions: Sessions,
  ports: Ports,
  fence: Fence,
  _head: Head,
  batch: Batch,
): Promise<FinishedTasks> {
  const tasks = await recordedTasks(ports, fence, batch);
  const { messages, lost } = await messagesOf(ports, batch, tasks);
  const outputs = messages as unknown as readonly (ShuffleOutput | null)[];
  const stored = await ports.store.stat(outputs.flatMap((output) => (output?.key ? [output.key] : [])));
  const damaged = outputs.flatMap((output, partition): LostTask[] => {
    if (!output?.key || stored.get(output.key)?.bytes === output.bytes) return [];
    const problem = stored.has(output.key) ? "has another size" : "is gone";
    return [{ partition, error: exchangedFileLost(ports, batch, output.key, problem) }];
  });
  return await withoutLost(ports, fence, batch, tasks, [...lost, ...damaged], "its rows are read again");
}

function exchangedFileLost({ store }: Ports, batch: Batch, key: string, problem: string): MillraceError {
  return new MillraceError("SHUFFLE_FILE_MISSING", `the file of exchanged rows ${key} ${problem}`, {
    where: { ...batchLocation(batch), path: `${store.location}/${key}` },
    hint: "Somebody deleted or changed it in the pipeline's store. Nothing is lost: its rows are read again.",
  });
}

/** Returns the recorded tasks of the stage that runs. Records of another plan are deleted. */
async function recordedTasks(ports: Ports, fence: Fence, batch: Batch): Promise<readonly Task[]> {
  const recorded = await ports.ledger.tasks(stageTasksOf(batch));
  const foreign = recorded.filter((task) => !isOfPlan(task, batch));
  if (foreign.length > 0) await drop(ports, fence, batch, foreign);
  return recorded.filter((task) => isOfPlan(task, batch));
}

async function withoutLost(
  ports: Ports,
  fence: Fence,
  batch: Batch,
  tasks: readonly Task[],
  lost: readonly LostTask[],
  again: string,
): Promise<FinishedTasks> {
  const loss = lossOf(lost);
  if (loss === undefined) return { tasks };
  const isLost = new Set(lost.map(({ partition }) => partition));
  const dropped = tasks.filter(({ partition }) => isLost.has(partition));
  await drop(ports, fence, batch, dropped);
  return {
    tasks: tasks.filter(({ partition }) => !isLost.has(partition)),
    warning: lossWarning(loss, again),
  };
}

async function drop({ ledger }: Ports, fence: Fence, batch: Batch, dropped: readonly Task[]): Promise<void> {
  const writers = new Set(dropped.map(({ writerId }) => writerId));
  const call = async () => {
    await ledger.dropTasks(fence, batch, dropped);
    return true;
  };
  await callOrReadBack(call, async () => {
    const isLeft = (await ledger.tasks(stageTasksOf(batch))).some(({ writerId }) => writers.has(writerId));
    return isLeft ? undefined : true;
  });
}
