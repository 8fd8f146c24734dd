import {
  Binary,
  type Data,
  DataType,
  type Field,
  List,
  Map_,
  RecordBatch,
  Schema,
  Struct,
  TimeNanosecond,
  TimeUnit,
} from "apache-arrow";
import { convertNumbers, withBuffers } from "../../../arrow/convert/leaves.ts";

/**
 * Returns the schema in which rows are collected. Rows have no bytes of a fixed length and no times
 * in microseconds, so these columns are collected in other types. Returns the schema itself if it
 * has no such column.
 */
export function rowSchemaOf(schema: Schema): Schema {
  const fields = schema.fields.map(rowField);
  return fields.every((field, i) => field === schema.fields[i]) ? schema : new Schema(fields);
}

function rowField(field: Field): Field {
  const type = rowTypeOf(field.type);
  return type === field.type ? field : field.clone({ type });
}

function rowTypeOf(type: DataType): DataType {
  if (DataType.isFixedSizeBinary(type)) return new Binary();
  if (DataType.isTime(type)) return new TimeNanosecond();
  const children = (type.children ?? []) as readonly Field[];
  const rows = children.map(rowField);
  if (rows.every((field, i) => field === children[i])) return type;
  if (DataType.isStruct(type)) return new Struct(rows);
  const [inner] = rows as [Field];
  return DataType.isMap(type) ? new Map_(inner as never) : new List(inner);
}

/** Returns a batch of `rowSchemaOf(schema)` in the types of `schema`. */
export function inSchema(batch: RecordBatch, schema: Schema): RecordBatch {
  if (batch.schema === schema) return batch;
  const rows = inType(batch.data as Data, new Struct(schema.fields));
  return new RecordBatch(schema, rows as Data<Struct>);
}

function inType(data: Data, to: DataType): Data {
  if (DataType.isFixedSizeBinary(to)) return fixedBytes(data, to);
  if (DataType.isTime(to)) return to.unit === TimeUnit.NANOSECOND ? data : convertNumbers(data, to);
  const fields = (to.children ?? []) as readonly Field[];
  if (fields.length === 0) return data;
  const children = fields.map(({ type }, i) => inType(data.children[i] as Data, type));
  return withBuffers(data, to, DataType.isStruct(to) ? {} : { 0: data.valueOffsets }, children);
}

function fixedBytes(data: Data, to: DataType & { readonly byteWidth: number }): Data {
  const { byteWidth } = to;
  const values = new Uint8Array(data.length * byteWidth);
  const { valueOffsets } = data as { readonly valueOffsets: Int32Array };
  for (let i = 0; i < data.length; i++) {
    if (!data.getValid(i)) continue;
    values.set((data.values as Uint8Array).subarray(valueOffsets[i], valueOffsets[i + 1]), i * byteWidth);
  }
  return withBuffers(data, to, { 1: values });
}
