import { type Data, makeData, RecordBatch, Schema, Struct } from "apache-arrow";

/**
 * Returns the columns of a record batch with these names, in this order. Arrow's own `select` loses
 * columns if their order or number differs. Names that the batch lacks are left out.
 */
export function selectColumns(batch: RecordBatch, names: readonly string[]): RecordBatch {
  const { fields } = batch.schema;
  const indexes = names
    .map((name) => fields.findIndex((field) => field.name === name))
    .filter((index) => index >= 0);
  const columns = new Schema(indexes.flatMap((index) => fields[index] ?? []));
  return new RecordBatch(
    columns,
    makeData({
      type: new Struct(columns.fields),
      length: batch.numRows,
      nullCount: 0,
      children: indexes.map((index) => batch.data.children[index] as Data),
    }),
  );
}
