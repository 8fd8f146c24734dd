import { itemsOf } from "../../arrow/record-batches.ts";
import { BadRow } from "../../contract/bad-rows.ts";
import type { TaskContext } from "../../contract/context.ts";
import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import type { Row, RowSource, SupportsBadRows } from "../../contract/stream-reader.ts";
import { decodeContent } from "./content.ts";
import { quarantineRows } from "./quarantine.ts";
import type { RetryPartition } from "./retry-partitions.ts";

type Item = Row | BadRow | unknown;

/**
 * Yields the rows of quarantine files again: rows as they were, and what was no row as the reader
 * makes it now.
 */
export async function* retriedRows(
  store: ObjectStore,
  { files }: RetryPartition,
  reader: Partial<SupportsBadRows>,
  task: TaskContext,
  where: ErrorLocation,
): AsyncGenerator<Item> {
  for (const { batchId, key } of files) {
    const at = { pipeline: task.pipeline, batchId };
    for await (const { row, raw, reason, stepsBefore } of quarantineRows(store, key, at)) {
      if (stepsBefore !== undefined) {
        yield new BadRow(notReadAgain(reason.code, where), decodeContent(row));
      } else if (raw === undefined) {
        yield decodeContent(row);
      } else if (reader.readBadRows === undefined) {
        yield new BadRow(notReadAgain(reason.code, where), decodeContent(raw));
      } else {
        yield* itemsOf(await reader.readBadRows([decodeContent(raw)], task), where) as AsyncIterable<Item>;
      }
    }
  }
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
