import { MillraceError } from "../../contract/errors.ts";
import { findNonJson, type JsonValue } from "../../contract/json.ts";
import { BATCH_FILE } from "../../contract/store-layout.ts";
import { batchFolder } from "../partitions-file.ts";
import type { BatchRun } from "../ports/ledger.ts";
import type { Ports } from "../ports/runtime.ts";
import type { Task } from "../ports/tasks.ts";

/**
 * Returns the part of a task record that holds its message: the message itself, or the key of the
 * file that holds a large one. Throws `MESSAGE_NOT_JSON`.
 */
export async function storeMessage(
  ports: Ports,
  run: BatchRun,
  writerId: string,
  message: unknown,
): Promise<Pick<Task, "message" | "messageKey" | "messageBytes">> {
  const problem = findNonJson(message, "message");
  if (problem !== undefined) {
    throw new MillraceError(
      "MESSAGE_NOT_JSON",
      `the commit message of a task must be a JSON value, but it has ${problem}`,
      {
        hint: "Give plain JSON: the message is stored, and read on another machine.",
      },
    );
  }
  const bytes = Buffer.from(JSON.stringify(message));
  if (bytes.length <= ports.ledger.limits.messageBytes) return { message: message as JsonValue };
  const messageKey = `${batchFolder(run.batchId)}${BATCH_FILE.message}${writerId}.json`;
  await ports.store.put(messageKey, bytes);
  return { message: null, messageKey, messageBytes: bytes.length };
}
