import type { RecordBatch, Schema } from "apache-arrow";
import { toRecordBatches } from "../../arrow/record-batches.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { Row } from "../../contract/stream-reader.ts";
import { jsonRecord } from "../kit/json.ts";
import type { ParsedOptions } from "./options.ts";
import type { Received } from "./queue.ts";

/** The columns of `format: "raw"`. */
export const RAW_SCHEMA: string =
  "messageId string NOT NULL, body string NOT NULL, sentTimestamp timestamp NOT NULL, messageGroupId string, sequenceNumber string, " +
  "messageAttributes map<string,string> NOT NULL";

/** A message that cannot be converted to a row, and the reason. */
export interface Misfit {
  readonly message: Received;
  readonly error: MillraceError;
}

/**
 * Converts messages to record batches. Messages that do not fit the schema are returned as
 * `misfits`.
 */
export async function convert(
  schema: Schema,
  format: ParsedOptions["format"],
  messages: readonly Received[],
): Promise<{
  readonly batches: readonly RecordBatch[];
  readonly fitting: readonly Received[];
  readonly misfits: readonly Misfit[];
}> {
  const toRow = format === "raw" ? rawRow : bodyRow(schema);
  const fitting: { readonly message: Received; readonly row: Row }[] = [];
  const misfits: Misfit[] = [];
  for (const message of messages) {
    try {
      fitting.push({ message, row: toRow(message) });
    } catch (error) {
      misfits.push({ message, error: asMisfit(error) });
    }
  }
  for (;;) {
    try {
      const rows = fitting.map(({ row }) => row);
      const batches = await Array.fromAsync(toRecordBatches(schema, rows, {}));
      return { batches, fitting: fitting.map(({ message }) => message), misfits };
    } catch (thrown) {
      const error = asMisfit(thrown);
      const [misfit] = error.where.row === undefined ? [] : fitting.splice(error.where.row - 1, 1);
      if (misfit === undefined) throw error;
      misfits.push({ message: misfit.message, error });
    }
  }
}

function asMisfit(error: unknown): MillraceError {
  if (MillraceError.is(error)) return error;
  throw error;
}

function bodyRow(schema: Schema): (message: Received) => Row {
  const toRow = jsonRecord(schema);
  return ({ messageId, body }) => toRow(body, `message ${messageId}`);
}

function rawRow({
  messageId,
  body,
  sentAt,
  messageGroupId,
  sequenceNumber,
  messageAttributes,
}: Received): Row {
  return {
    messageId,
    body,
    sentTimestamp: new Date(sentAt),
    messageGroupId,
    sequenceNumber,
    messageAttributes,
  };
}
