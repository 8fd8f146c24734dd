import type { MillraceError } from "../contract/errors.ts";
import { schemaOrCurrent } from "./batch-schema.ts";
import { CallWatch } from "./call-watch.ts";
import { isOfPlan } from "./plan-tasks.ts";
import type { Batch, Fence, Head } from "./ports/ledger.ts";
import { positionOf } from "./ports/position.ts";
import type { Ports } from "./ports/runtime.ts";
import type { Task } from "./ports/tasks.ts";
import { callOrReadBack } from "./retry.ts";
import type { Sessions } from "./sessions/open-sessions.ts";
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
  const recorded = await ports.ledger.tasks(batch);
  const tasks = recorded.filter((task) => isOfPlan(task, batch));
  const foreign = recorded.filter((task) => !isOfPlan(task, batch));
  if (foreign.length > 0) await drop(ports, fence, batch, foreign);
  const context = sessions.sink.batchContext(batch, { ...head, position: positionOf(head) });
  const watch = new CallWatch(ports.runtime, undefined);
  const asked = await sessions.sink.asked(await schemaOrCurrent(sessions, ports, batch));
  const { lost } = await checkedMessages(ports, { batch, tasks }, { context, watch, asked });
  const loss = lossOf(lost);
  if (loss === undefined) return { tasks };
  const again = new Set(lost.map(({ partition }) => partition));
  const dropped = tasks.filter(({ partition }) => again.has(partition));
  await drop(ports, fence, batch, dropped);
  return {
    tasks: tasks.filter(({ partition }) => !again.has(partition)),
    warning: lossWarning(loss, "its rows are written again"),
  };
}

async function drop({ ledger }: Ports, fence: Fence, batch: Batch, dropped: readonly Task[]): Promise<void> {
  const writers = new Set(dropped.map(({ writerId }) => writerId));
  const call = async () => {
    await ledger.dropTasks(fence, batch, dropped);
    return true;
  };
  await callOrReadBack(call, async () => {
    const isLeft = (await ledger.tasks(batch)).some(({ writerId }) => writers.has(writerId));
    return isLeft ? undefined : true;
  });
}
