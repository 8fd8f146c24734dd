import { type DataType, Field, Schema } from "apache-arrow";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { MillraceError } from "../../../shared/contract/errors.ts";

const schemaOf = (type: string | DataType): Schema =>
  typeof type === "string" ? parseDdl(`v ${type}`) : new Schema([new Field("v", type, true)]);

/** Builds a column `v` of these values and returns its content as JSON. */
export function stored(type: string | DataType, values: readonly unknown[]): unknown[] {
  const batch = recordBatchOf(
    schemaOf(type),
    values.map((v) => ({ v })),
  );
  return [...rowsOf(batch)].map((row) => row["v"]);
}

/** Builds a column `v` of these values and returns its 64-bit words without conversion. */
export function words(type: string, values: readonly unknown[]): bigint[] {
  const batch = recordBatchOf(
    schemaOf(type),
    values.map((v) => ({ v })),
  );
  return Array.from(batch.getChildAt(0)?.data[0]?.values as BigInt64Array);
}

/** Returns the error for `value` in row 2, after a row with null. */
export function refusal(type: string | DataType, value: unknown): MillraceError {
  try {
    stored(type, [null, value]);
  } catch (error) {
    if (MillraceError.is(error)) return error;
    throw error;
  }
  throw new Error("it was accepted");
}

export const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
