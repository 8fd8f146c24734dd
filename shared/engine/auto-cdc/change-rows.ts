import {
  Binary,
  Data,
  DataType,
  type Field,
  Float64,
  Int64,
  makeData,
  RecordBatch,
  Schema,
  Struct,
} from "apache-arrow";
import { presenceOf } from "../../arrow/conform.ts";
import { SortKeys } from "../../arrow/sort-keys.ts";
import type { TaskContext } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import { asc } from "../../contract/write/distribution.ts";
import { OPERATION } from "../row-level/operation-rows.ts";
import type { RowTransform } from "../sessions/engine-write.ts";
import { ADDED, type MergePlan } from "./merge-plan.ts";

/** Makes changes of the rows of a stream. */
export class ChangeRows implements RowTransform {
  readonly schema: Schema;
  readonly #plan: MergePlan;
  readonly #sequences: SequenceKeys;

  constructor(plan: MergePlan) {
    this.#plan = plan;
    this.schema = plan.changes;
    this.#sequences = new SequenceKeys(plan);
  }

  /** Changes that tasks have exchanged stay. Throws `KEY_IS_NULL` or `SEQUENCE_IS_NULL`. */
  async *apply(
    batches: AsyncIterable<RecordBatch>,
    { partitionId }: Pick<TaskContext, "partitionId">,
  ): AsyncGenerator<RecordBatch> {
    let rows = 0;
    for await (const batch of batches) {
      const isExchanged = batch.schema.fields.some(({ name }) => name === ADDED.sequence);
      yield isExchanged ? batch : this.#changes(batch, partitionId, rows);
      rows += batch.numRows;
    }
  }

  #changes(batch: RecordBatch, partition: number, rowsBefore: number): RecordBatch {
    const { deletes } = this.#plan;
    this.#checkPresent(batch, partition, rowsBefore);
    const length = batch.numRows;
    const { bytes, offsets } = this.#sequences.list(batch);
    const isDelete = deletes?.on(batch);
    const operations = Int8Array.from({ length }, (_, row) =>
      isDelete?.(row) === true ? OPERATION.delete : OPERATION.update,
    );
    const added: Readonly<Record<string, Data>> = {
      [ADDED.operation]: dataOf(this.#field(ADDED.operation), operations),
      [ADDED.sequence]: makeData({ type: new Binary(), length, data: bytes, valueOffsets: offsets }),
      [ADDED.partition]: dataOf(this.#field(ADDED.partition), new Int32Array(length).fill(partition)),
      [ADDED.row]: dataOf(
        this.#field(ADDED.row),
        BigInt64Array.from({ length }, (_, row) => BigInt(rowsBefore + row + 1)),
      ),
    };
    return batchOf(
      this.schema,
      length,
      this.schema.fields.map(({ name }) => added[name] ?? columnOf(batch, name)),
    );
  }

  #field(name: string): Field {
    return this.schema.fields.find((field) => field.name === name) as Field;
  }

  #checkPresent(batch: RecordBatch, partition: number, rowsBefore: number): void {
    const { keys, sequenceBy } = this.#plan.settings;
    for (const name of keys) {
      const row = firstNull(columnOf(batch, name));
      if (row >= 0) throw isNull("KEY_IS_NULL", name, partition, rowsBefore + row + 1);
    }
    for (const name of sequenceBy) {
      const row = firstNull(columnOf(batch, name));
      if (row >= 0) throw isNull("SEQUENCE_IS_NULL", name, partition, rowsBefore + row + 1);
    }
  }
}

/** Returns the column of a record batch with this name. */
export function columnOf(batch: RecordBatch, name: string): Data {
  return batch.data.children[batch.schema.fields.findIndex((field) => field.name === name)] as Data;
}

/** Returns a record batch of these columns. */
export function batchOf(schema: Schema, length: number, children: readonly Data[]): RecordBatch {
  const type = new Struct(schema.fields);
  return new RecordBatch(schema, makeData({ type, length, nullCount: 0, children: [...children] }));
}

function dataOf({ type }: Field, values: Int8Array | Int32Array | BigInt64Array): Data {
  return new Data(type as DataType, 0, values.length, 0, { 1: values } as never);
}

/** Returns the index of the first null, or -1. */
function firstNull(data: Data): number {
  const isPresent = presenceOf(data.type, data);
  if (isPresent === undefined) return -1;
  for (let row = 0; row < data.length; row++) if (!isPresent(row)) return row;
  return -1;
}

function isNull(
  code: "KEY_IS_NULL" | "SEQUENCE_IS_NULL",
  field: string,
  partition: number,
  row: number,
): MillraceError {
  const what = code === "KEY_IS_NULL" ? "is one of keys" : "is one of sequenceBy";
  return new MillraceError(code, `row ${row} of partition ${partition}: "${field}" ${what}, and is null`, {
    where: { partition, row, field },
    hint: "The batch is not committed. Correct the feed, or leave such rows out where the stream is read.",
  });
}

/**
 * Makes the bytes of `__sequence`. Tables keep them, so they must never change. Whole numbers of
 * any width have the same bytes, and so have `float` and `double`: the column may become wider.
 */
class SequenceKeys {
  readonly #names: readonly string[];
  readonly #schema: Schema;
  readonly #keys: SortKeys;

  constructor({ source, settings: { sequenceBy } }: MergePlan) {
    this.#names = sequenceBy;
    const fields = sequenceBy.flatMap((name) => source.fields.filter((field) => field.name === name));
    this.#schema = new Schema(fields.map((field) => field.clone({ type: widest(field.type) })));
    this.#keys = new SortKeys(
      this.#schema,
      sequenceBy.map((name) => asc(name)),
    );
  }

  list(batch: RecordBatch): { readonly bytes: Uint8Array; readonly offsets: Int32Array } {
    const columns = this.#names.map((name) => widened(columnOf(batch, name)));
    return this.#keys.list(batchOf(this.#schema, batch.numRows, columns));
  }
}

function widest(type: DataType): DataType {
  if (isNarrowInt(type)) return new Int64();
  return DataType.isFloat(type) && type.precision === 1 ? new Float64() : type;
}

/** Unsigned integers of 64 bits keep their own bytes, as a signed one cannot hold them. */
function isNarrowInt(type: DataType): boolean {
  return DataType.isInt(type) && type.bitWidth < 64;
}

function widened(data: Data): Data {
  const type = widest(data.type as DataType);
  if (type === data.type) return data;
  const { length } = data;
  const at = (row: number): unknown => data.values[row];
  const values = isNarrowInt(data.type as DataType)
    ? BigInt64Array.from({ length }, (_, row) => BigInt(Number(at(row))))
    : Float64Array.from({ length }, (_, row) => Number(at(row)));
  return new Data(type, 0, length, 0, { 1: values } as never);
}
