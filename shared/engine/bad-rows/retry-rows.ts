import { itemsOf } from "../../arrow/record-batches.ts";
import { BadRow } from "../../contract/bad-rows.ts";
import type { TaskContext } from "../../contract/context.ts";
import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import { optional } from "../../contract/optional.ts";
import type { Row, RowSource, SupportsBadRows } from "../../contract/stream-reader.ts";
import { decodeContent } from "./content.ts";
import { type Places, placeOf, sinkAt } from "./places.ts";
import { quarantineRows } from "./quarantine.ts";
import type { RetryPartition } from "./retry-partitions.ts";

type Item = Row | BadRow | unknown;

/** The quarantine files that one task sends again. */
export interface RetriedRows {
  readonly store: ObjectStore;
  readonly partition: RetryPartition;
  readonly task: TaskContext;
  readonly where: ErrorLocation;
  readonly places: Places;
}

/**
 * Yields the rows of quarantine files again that have passed no steps: rows as they were, and what
 * was no row as the reader makes it now.
 */
export async function* retriedRows(
  { store, partition, task, where, places }: RetriedRows,
  reader: Partial<SupportsBadRows>,
): AsyncGenerator<Item> {
  for await (const { row, raw, reason, stepsBefore, afterSteps } of rowsOf(store, partition, task)) {
    if (afterSteps === true) continue;
    const place = { ...where, ...placeOf(reason) };
    if (stepsBefore !== undefined) {
      task.badRows?.add(notReadAgain(reason.code, place), { row: decodeContent(row), stepsBefore });
    } else if (raw === undefined) {
      yield places.add(decodeContent(row), reason);
    } else if (reader.readBadRows === undefined) {
      yield new BadRow(notReadAgain(reason.code, place), decodeContent(raw));
    } else {
      const own = { ...task, ...optional("badRows", sinkAt(task.badRows, reason)) };
      const read = itemsOf(await reader.readBadRows([decodeContent(raw)], own), where);
      for await (const item of read) yield places.add(item, reason);
    }
  }
}

/** Yields the rows of quarantine files again that the sink had refused after all steps. */
export async function* rowsAfterSteps(retried: RetriedRows): AsyncGenerator<Item> {
  const { store, partition, task, places } = retried;
  for await (const { row, reason, afterSteps } of rowsOf(store, partition, task))
    if (afterSteps === true) yield places.add(decodeContent(row), reason);
}

async function* rowsOf(
  store: ObjectStore,
  { files }: RetryPartition,
  { pipeline }: TaskContext,
): ReturnType<typeof quarantineRows> {
  for (const { batchId, key } of files) yield* quarantineRows(store, key, { pipeline, batchId });
}

/** Returns the rows for `toRecordBatches`, which takes a `BadRow` in the place of a row. */
export function retriedSource(rows: AsyncGenerator<Item>): RowSource {
  return rows as AsyncGenerator<Row>;
}

function notReadAgain(code: string, where: ErrorLocation): MillraceError {
  return new MillraceError(
    "ROW_NOT_READ_AGAIN",
    `the reader cannot make a row of what was kept (it was ${code})`,
    {
      where,
      hint: "Give the reader readBadRows(contents), or read the range again: `millrace rewind`.",
    },
  );
}
