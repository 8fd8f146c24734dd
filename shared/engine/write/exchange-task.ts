import type { Schema } from "apache-arrow";
import { optional } from "../../contract/optional.ts";
import { BATCH_FILE } from "../../contract/store-layout.ts";
import { batchFolder } from "../partitions-file.ts";
import type { PlannedExchange } from "../partitions-format.ts";
import type { RowTransform } from "../sessions/engine-write.ts";
import type { SinkWrite } from "../sessions/sink-write.ts";
import { SHUFFLE_MEMORY_BYTES, type ShuffleSpec } from "../shuffle/spec.ts";
import { splitRows } from "../shuffle/split.ts";
import { recordTask, type TaskParts, taskRecord, watched } from "./task-parts.ts";
import { type TaskResult, taskLocation } from "./task-request.ts";

/** Returns how the tasks of the stage split their rows. */
export function specOf({ specs, stage }: PlannedExchange): ShuffleSpec {
  return specs[stage] as ShuffleSpec;
}

/**
 * Returns what makes the rows that are exchanged. Without a write, which writers in the form of
 * PySpark's API lack here, they are exchanged as they are.
 */
export function exchangedRows(
  write: SinkWrite | undefined,
  planned: PlannedExchange,
  schema: Schema,
): RowTransform {
  return write?.exchangeTransform(planned) ?? { schema, apply: (batches) => batches };
}

/**
 * Runs a task that exchanges its rows: splits them, stages them in one file, and records where each
 * part is. The name of the file is that of this attempt only, so what a task leaves that is not
 * recorded is never read.
 */
export async function exchangeRows(parts: TaskParts, planned: PlannedExchange): Promise<TaskResult> {
  const { sessions, ports, request, options, rows, context, planned: task } = parts;
  const { run } = request;
  const writerId = ports.runtime.newId();
  const { plannedAt } = planned;
  const write = await sessions.sink.writeOfStage(task.schema, { ...run, plannedAt });
  const transform = exchangedRows(write, planned, task.schema);
  const key = `${batchFolder(run.batchId)}${BATCH_FILE.exchanged}${writerId}.arrows`;
  let output: Awaited<ReturnType<typeof splitRows>> | undefined;
  await watched(parts, async () => {
    const [{ signal }, where] = [options, taskLocation(request)];
    const folder = `${batchFolder(run.batchId)}${BATCH_FILE.sorted}${writerId}/`;
    const made = transform.apply(rows, context, { ports, folder, signal, where });
    output = await splitRows(made, transform.schema, specOf(planned), {
      store: ports.store,
      key,
      memoryBytes: SHUFFLE_MEMORY_BYTES,
      task: request.partition,
      signal,
      where,
    });
  });
  if (rows.failure !== undefined) throw rows.failure;
  const record = await taskRecord(parts, writerId, output, {});
  const result = await recordTask(parts, record, async () => {
    // The file of the other attempt is read. Vacuum removes this one if it cannot be deleted now.
    await ports.store.delete([key]).catch(() => undefined);
  });
  return { ...result, ...optional("leftOut", rows.leftOut) };
}
