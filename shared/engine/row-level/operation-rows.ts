import { type Data, Field, Int8, Int32, makeData, RecordBatch, Schema, Struct } from "apache-arrow";
import { nullColumn } from "../../arrow/convert/columns.ts";

/** What an operation row asks of the writer of its task. */
export const OPERATION = {
  /** Nothing: the row only counts, because no writer hears of it. */
  none: 0,
  delete: 1,
  update: 2,
  insert: 3,
  /** The second half of an update that arrives as a delete and an insert. */
  reinsert: 4,
  /** A row of a group that is written again, with its metadata columns. */
  writeWithMetadata: 5,
  /** A row of a group that is written again or inserted. */
  write: 6,
} as const;

/** A code of `OPERATION`. */
export type OperationCode = (typeof OPERATION)[keyof typeof OPERATION];

/** The columns of the three parts of an operation row. */
export interface OperationColumns {
  /** The columns of the row that is written; none in a delete by row ids. */
  readonly row: Schema;
  /** The columns that identify a row. */
  readonly id?: Schema | undefined;
  /** The metadata columns that the writers need. */
  readonly metadata?: Schema | undefined;
}

/** The values of operation rows. */
export interface OperationValues {
  /** The operation of all rows, or of each of them. */
  readonly operation: OperationCode | Int8Array;
  /** Number of rows. */
  readonly length: number;
  /** Index of the name under which the rows count; -1 if they do not count. */
  readonly counted: number;
  /** How many each row counts. Default 1. */
  readonly count?: number;
  /** The columns of each part, or `undefined` if all of them are null. */
  readonly row?: readonly (Data | undefined)[] | undefined;
  readonly id?: readonly (Data | undefined)[] | undefined;
  readonly metadata?: readonly (Data | undefined)[] | undefined;
}

/** A part of an operation row: pairs of the column's name in the part and in the flat row. */
export type PartNames = readonly (readonly [own: string, flat: string])[];

/**
 * Operation rows have flat columns, so that what a write requires about their distribution and
 * order can name columns of the row, metadata columns and row ids. A column of the row keeps its
 * name. If a metadata column or a row id has a name that is taken, it gets a longer one.
 */
export class OperationLayout {
  /** The flat columns. All may be null, because no operation has all parts. */
  readonly schema: Schema;
  /** Names of the columns that hold the operation, the counted name, and the count. */
  readonly control: readonly [operation: string, counted: string, count: string];
  readonly row: PartNames;
  /** Absent if rows have no ids. */
  readonly id: PartNames | undefined;
  /** Absent if the writers need no metadata columns. */
  readonly metadata: PartNames | undefined;

  constructor(columns: OperationColumns) {
    const { row, id, metadata } = columns;
    const taken = new Set(row.fields.map(({ name }) => name));
    const named = (part: Schema | undefined, prefix: string): PartNames | undefined =>
      part?.fields.map(({ name }) => [name, freeName(name, prefix, taken)] as const);
    this.row = row.fields.map(({ name }) => [name, name] as const);
    this.metadata = named(metadata, "__metadata_");
    this.id = named(id, "__row_id_");
    this.control = [
      freeName("__operation", "_", taken),
      freeName("__counted", "_", taken),
      freeName("__count", "_", taken),
    ];
    const [operation, counted, count] = this.control;
    const flat = (part: Schema | undefined, names: PartNames | undefined) =>
      (part?.fields ?? []).map((field, i) => field.clone({ name: names?.[i]?.[1] ?? "", nullable: true }));
    this.schema = new Schema([
      new Field(operation, new Int8(), false),
      new Field(counted, new Int8(), false),
      new Field(count, new Int32(), false),
      ...flat(row, this.row),
      ...flat(metadata, this.metadata),
      ...flat(id, this.id),
    ]);
  }

  /** Returns a record batch of operation rows. */
  batch(values: OperationValues): RecordBatch {
    const { operation, length, counted, count = 1 } = values;
    const [operations, names, counts, ...fields] = this.schema.fields as [Field, Field, Field, ...Field[]];
    const parts = (["row", "metadata", "id"] as const).flatMap((part) =>
      (this[part] ?? []).map((_, i) => values[part]?.[i]),
    );
    const children = [
      makeData({ type: operations.type, length, data: operationsOf(operation, length) }),
      makeData({ type: names.type, length, data: new Int8Array(length).fill(counted) }),
      makeData({ type: counts.type, length, data: new Int32Array(length).fill(count) }),
      ...fields.map(({ type }, i) => parts[i] ?? nullColumn(type, length)),
    ] as Data[];
    const type = new Struct(this.schema.fields);
    return new RecordBatch(this.schema, makeData({ type, length, nullCount: 0, children }));
  }
}

function operationsOf(operation: OperationCode | Int8Array, length: number): Int8Array {
  return typeof operation === "number" ? new Int8Array(length).fill(operation) : operation;
}

/** Returns the name, with a prefix as often as it takes until nothing else has it. */
function freeName(name: string, prefix: string, taken: Set<string>): string {
  let free = name;
  while (taken.has(free)) free = prefix + free;
  taken.add(free);
  return free;
}
