import { type ErrorLocation, MillraceError } from "../contract/errors.ts";
import type { JsonValue } from "../contract/json.ts";
import type { Batch } from "./ports/ledger.ts";
import type { Ports } from "./ports/runtime.ts";
import type { Task } from "./ports/tasks.ts";

/** Why what a recorded task wrote cannot be committed. */
export interface LostTask {
  readonly partition: number;
  readonly error: MillraceError;
}

/**
 * The commit messages in partition order, with `null` for a task that is not recorded or whose
 * message is gone or damaged; `lost` are the latter.
 */
export interface MessagesRead {
  readonly messages: readonly JsonValue[];
  readonly lost: readonly LostTask[];
}

/** Reads the commit messages of an attempt. */
export async function messagesOf(ports: Ports, batch: Batch, tasks: readonly Task[]): Promise<MessagesRead> {
  const messages: JsonValue[] = Array.from({ length: batch.tasks }, () => null);
  const lost: LostTask[] = [];
  for (const task of tasks) {
    const message = await messageOf(ports, batch, task);
    if (MillraceError.is(message)) lost.push({ partition: task.partition, error: message });
    else messages[task.partition] = message;
  }
  return { messages, lost };
}

/** Returns the message of a task, or `MESSAGE_MISSING` if the store has it no more, or damaged. */
async function messageOf({ store }: Ports, batch: Batch, task: Task): Promise<JsonValue | MillraceError> {
  const { partition, messageKey, messageBytes } = task;
  if (messageKey === undefined) return task.message;
  const problem = (text: string) =>
    new MillraceError("MESSAGE_MISSING", `the commit message ${messageKey} ${text}`, {
      where: { ...batchLocation(batch), partition, path: `${store.location}/${messageKey}` },
      hint: "Somebody deleted or changed it in the pipeline's store. Nothing is lost: the next `millrace run` writes the rows again.",
    });
  const bytes = await store.get(messageKey);
  if (bytes === undefined) return problem("is gone");
  if (messageBytes !== undefined && bytes.length !== messageBytes)
    return problem(`is damaged: it has ${bytes.length} bytes, and ${messageBytes} were written`);
  try {
    return JSON.parse(Buffer.from(bytes).toString()) as JsonValue;
  } catch {
    return problem("is damaged: it is not JSON");
  }
}

/** Returns the location of a batch attempt, for its errors. */
export function batchLocation(batch: Batch): ErrorLocation {
  return { pipeline: batch.pipeline, batchId: batch.batchId, attempt: batch.attempt };
}
