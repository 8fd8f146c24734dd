import { type Data, type DataType, makeData, RecordBatch, Schema, Struct } from "apache-arrow";
import { convertColumn, differenceOf, nullColumn } from "./convert/columns.ts";
import { isSameType } from "./same-type.ts";

/**
 * Returns a function that gives record batches the columns of a schema, by their names: a column
 * that a record batch lacks is null, one that it has besides is left out, and a narrower type is
 * widened. A record batch that has the columns already, or one whose types do not fit, is returned
 * as it is.
 */
export function withColumns(schema: Schema): (batch: RecordBatch) => RecordBatch {
  let known: Schema | undefined;
  let columns: readonly number[] | undefined;
  return (batch) => {
    if (batch.schema !== known) {
      known = batch.schema;
      columns = isSameColumns(known, schema) ? undefined : columnsOf(known, schema);
    }
    return columns === undefined ? batch : selected(batch, columns, schema);
  };
}

function isSameColumns(found: Schema, wanted: Schema): boolean {
  return (
    found.fields.length === wanted.fields.length &&
    wanted.fields.every(({ name, type }, i) => {
      const own = found.fields[i];
      return own?.name === name && isSameType(own.type, type);
    })
  );
}

/** Returns the place of each wanted column, -1 for one that is null, or `undefined`. */
function columnsOf(found: Schema, wanted: Schema): readonly number[] | undefined {
  const places = wanted.fields.map(({ name }) => found.fields.findIndex((field) => field.name === name));
  const fits = wanted.fields.every(({ type, nullable }, i) => {
    const own = found.fields[places[i] as number];
    return own === undefined ? nullable : differenceOf(own.type, type, "", () => undefined) === undefined;
  });
  return fits ? places : undefined;
}

function selected(batch: RecordBatch, places: readonly number[], { fields, metadata }: Schema): RecordBatch {
  const { numRows, data } = batch;
  const children = fields.map(({ type }, i) => {
    const column = data.children[places[i] as number] as Data<DataType> | undefined;
    return column === undefined ? nullColumn(type, numRows) : convertColumn(column, type);
  });
  const struct = makeData({ type: new Struct(fields), length: numRows, nullCount: 0, children });
  return new RecordBatch(new Schema(fields, metadata), struct);
}
