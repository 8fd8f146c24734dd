import { type ErrorLocation, MillraceError } from "../contract/errors.ts";
import type { JsonValue } from "../contract/json.ts";
import { optional } from "../contract/optional.ts";
import type { Batch, Task } from "./ports/ledger.ts";
import type { Ports } from "./ports/runtime.ts";

/**
 * The commit messages in partition order, with `null` for a task that is not recorded or whose
 * message is gone; `problem` is the first of the latter.
 */
export interface MessagesRead {
  readonly messages: readonly JsonValue[];
  readonly problem?: MillraceError;
}

/** Reads the commit messages of an attempt. */
export async function messagesOf(ports: Ports, batch: Batch, tasks: readonly Task[]): Promise<MessagesRead> {
  const messages: JsonValue[] = Array.from({ length: batch.tasks }, () => null);
  let problem: MillraceError | undefined;
  for (const task of tasks) {
    const message = await messageOf(ports, task);
    if (message === undefined) problem ??= messageMissing(ports, batch, task);
    else messages[task.partition] = message;
  }
  return { messages, ...optional("problem", problem) };
}

/** Returns the message of a task, or `undefined` if the store does not have it any more. */
async function messageOf({ store }: Ports, task: Task): Promise<JsonValue | undefined> {
  if (task.messageKey === undefined) return task.message;
  const bytes = await store.get(task.messageKey);
  return bytes === undefined ? undefined : (JSON.parse(Buffer.from(bytes).toString()) as JsonValue);
}

function messageMissing({ store }: Ports, batch: Batch, { partition, messageKey }: Task): MillraceError {
  return new MillraceError("MESSAGE_MISSING", `the commit message ${messageKey} is gone`, {
    where: { ...batchLocation(batch), partition, path: `${store.location}/${messageKey}` },
    hint: "Somebody deleted it from the pipeline's store. Nothing is lost: the next run writes the batch again.",
  });
}

/** Returns the location of a batch attempt, for its errors. */
export function batchLocation(batch: Batch): ErrorLocation {
  return { pipeline: batch.pipeline, batchId: batch.batchId, attempt: batch.attempt };
}
