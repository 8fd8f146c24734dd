import type { RecordBatch } from "apache-arrow";
import { toRecordBatches } from "../../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { MillraceError } from "../../../shared/contract/errors.ts";
import type { Row, RowSource } from "../../../shared/contract/stream-reader.ts";

export const schema = parseDdl("id int NOT NULL, name string");
export const place = { pipeline: "p", batchId: 4, partition: 1 };

export const batchesOf = async (source: unknown, of = schema): Promise<RecordBatch[]> =>
  await Array.fromAsync(toRecordBatches(of, source as RowSource, place));
export const rowsIn = (batches: readonly RecordBatch[]): unknown[] =>
  batches.flatMap((batch) => [...rowsOf(batch)]);
export const sizes = (batches: readonly RecordBatch[]): number[] => batches.map((batch) => batch.numRows);

export async function refusal(source: unknown, of = schema): Promise<MillraceError> {
  const error: unknown = await batchesOf(source, of).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!MillraceError.is(error)) throw new Error("no MillraceError", { cause: error });
  return error;
}

export const row = (id: number): Row => ({ id, name: `n${id}` });
export const upTo = (count: number): Row[] => Array.from({ length: count }, (_, i) => row(i));
