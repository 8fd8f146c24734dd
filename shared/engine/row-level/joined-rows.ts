import { type Data, makeData, RecordBatch, type Schema, Struct } from "apache-arrow";
import { nullColumn } from "../../arrow/convert/columns.ts";

/** Returns rows with a struct for each side; a side without data is null in all rows. */
export function joinedBatch(
  schema: Schema,
  length: number,
  sides: { readonly target?: Data | undefined; readonly source?: Data | undefined },
): RecordBatch {
  const children = schema.fields.map(
    ({ name, type }) => sides[name as "target" | "source"] ?? nullColumn(type, length),
  );
  return new RecordBatch(
    schema,
    makeData({ type: new Struct(schema.fields), length, nullCount: 0, children }),
  );
}

/** Returns the numbers from 0 up to `count`, exclusive. */
export function rowsUpTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
