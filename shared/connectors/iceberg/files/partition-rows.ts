import type { Data, RecordBatch } from "apache-arrow";
import { type Key, keysOf } from "../../../arrow/predicates/keys.ts";
import { takeRows } from "../../../arrow/take.ts";
import { valueKeys } from "../../../arrow/value-keys.ts";
import { MillraceError } from "../../../contract/errors.ts";
import { primitiveOf } from "../format/primitive.ts";
import { nameOf, pathOf } from "../format/schema.ts";
import { parseTransform, type Transform, TransformOverflow, transformed } from "../format/transforms.ts";
import type {
  IcebergSchema,
  IcebergValue,
  PartitionSpec,
  PartitionTuple,
  PrimitiveType,
} from "../format/types.ts";
import { fastResults } from "./partition-columns.ts";

/** The rows of one partition. */
export interface PartitionRows {
  /** The same number for the same partition in all record batches. */
  readonly partition: number;
  readonly rows: RecordBatch;
}

/** A partition field, and the place of its column. */
interface SourceField {
  readonly name: string;
  readonly transform: Transform;
  readonly type: PrimitiveType;
  /** Indexes of the column and of the fields of structs down to the source. */
  readonly path: readonly number[];
  /** Numbers of the values that were seen, by a key of the value. */
  readonly known: Map<number | string, number>;
}

/** The key of null, which no value has. `valueKeys` has it, too. */
const NULL_KEY = "n";

/** Numbers of values are below this, so two of them fit into a safe integer. */
const MOST_VALUES = 2 ** 26;

/** Divides rows by the values of partition fields. */
export class Partitioner {
  readonly #fields: readonly SourceField[];
  /** For each field: numbers of the combinations of values up to it. */
  readonly #combinations: readonly Map<number, number>[];
  readonly #tuples: PartitionTuple[] = [];

  /** `spec` must be one that `partitionTypes` accepts for the schema. */
  constructor(schema: IcebergSchema, spec: PartitionSpec) {
    this.#fields = spec.fields.map((field) => sourceField(schema, field["source-id"], field.transform));
    this.#combinations = this.#fields.map(() => new Map());
    if (this.#fields.length === 0) this.#tuples.push([]);
  }

  /** Returns the values of a partition. */
  tupleOf(partition: number): PartitionTuple {
    return this.#tuples[partition] as PartitionTuple;
  }

  /**
   * Divides rows in canonical form. Rows of a partition keep their order. `rowsBefore` is the
   * number of earlier rows, for errors. Throws `ROW_MISMATCH` if a transform's result has no value.
   */
  divide(batch: RecordBatch, rowsBefore: number): readonly PartitionRows[] {
    if (this.#fields.length === 0) return [{ partition: 0, rows: batch }];
    const groups = grouped(this.#partitionsOf(batch, rowsBefore));
    const [only] = groups;
    if (only !== undefined && groups.length === 1) return [{ partition: only.partition, rows: batch }];
    return groups.map(({ partition, rows }) => ({ partition, rows: takeRows(batch, rows) }));
  }

  #partitionsOf(batch: RecordBatch, rowsBefore: number): Uint32Array {
    const combined = new Uint32Array(batch.numRows);
    for (const [i, field] of this.#fields.entries()) {
      const numbers = numbersOf(field, batch, rowsBefore);
      const known = this.#combinations[i] as Map<number, number>;
      const isLast = i === this.#fields.length - 1;
      for (let row = 0; row < combined.length; row++) {
        const key = (combined[row] as number) * MOST_VALUES + (numbers[row] as number);
        let number = known.get(key);
        if (number === undefined) {
          number = known.size;
          known.set(key, number);
          if (isLast) this.#tuples.push(this.#tupleAt(batch, row, rowsBefore));
        }
        combined[row] = number;
      }
    }
    return combined;
  }

  #tupleAt(batch: RecordBatch, row: number, rowsBefore: number): PartitionTuple {
    return this.#fields.map((field) => {
      const value = valueReader(field, batch)(row);
      return transformedAt(field, value, rowsBefore + row);
    });
  }
}

function sourceField(schema: IcebergSchema, sourceId: number, transform: string): SourceField {
  const path = pathOf(schema, sourceId) ?? [];
  let fields = schema.fields;
  const indexes = path.map((step) => {
    const index = fields.indexOf(step);
    fields = typeof step.type === "object" && step.type.type === "struct" ? step.type.fields : [];
    return index;
  });
  return {
    name: nameOf(path),
    transform: parseTransform(transform),
    type: path.at(-1)?.type as PrimitiveType,
    path: indexes,
    known: new Map(),
  };
}

/** Returns the rows of each partition, from the partition of each row. */
function grouped(partitions: Uint32Array): readonly { partition: number; rows: number[] }[] {
  const groups = new Map<number, { partition: number; rows: number[] }>();
  let last: { partition: number; rows: number[] } | undefined;
  for (let row = 0; row < partitions.length; row++) {
    const partition = partitions[row] as number;
    if (last?.partition !== partition) {
      last = groups.get(partition) ?? { partition, rows: [] };
      groups.set(partition, last);
    }
    last.rows.push(row);
  }
  return [...groups.values()];
}

/** Returns a number for each row, which is the same for rows with the same value. */
function numbersOf(field: SourceField, batch: RecordBatch, rowsBefore: number): Uint32Array {
  const keyAt = keyReader(field, batch, rowsBefore);
  const numbers = new Uint32Array(batch.numRows);
  for (let row = 0, last = keyAt(0), number = numberOf(field, last); row < numbers.length; row++) {
    const key = keyAt(row);
    if (key !== last) {
      last = key;
      number = numberOf(field, key);
    }
    numbers[row] = number;
  }
  return numbers;
}

function numberOf({ known }: SourceField, key: number | string): number {
  const number = known.get(key) ?? known.size;
  if (number === known.size) known.set(key, number);
  return number;
}

/** Returns a function from a row to a key of its partition value. */
function keyReader(
  field: SourceField,
  batch: RecordBatch,
  rowsBefore: number,
): (row: number) => number | string {
  const { transform, path } = field;
  if (transform.kind === "void") return () => NULL_KEY;
  if (path.length === 1) {
    const data = batch.data.children[path[0] as number] as Data;
    const resultAt = fastResults(transform, data);
    if (resultAt !== undefined) {
      return data.nullCount === 0 ? resultAt : (row) => (data.getValid(row) ? resultAt(row) : NULL_KEY);
    }
    if (transform.kind === "identity") return valueKeys(data);
  }
  const valueAt = valueReader(field, batch);
  return (row) => keyOf(transformedAt(field, valueAt(row), rowsBefore + row));
}

/**
 * Returns a key that differs for -0 and 0, since a reader may take the value from the partition.
 */
function keyOf(value: IcebergValue | null): number | string {
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : value;
  if (value instanceof Uint8Array) return `b${Buffer.from(value).toString("latin1")}`;
  if (value === null) return NULL_KEY;
  return typeof value === "string" ? `s${value}` : String(value);
}

function valueReader(field: SourceField, batch: RecordBatch): (row: number) => IcebergValue | null {
  const keyAt = keysOf(batch.data, field.path);
  const isText = primitiveOf(field.type).kind === "string";
  return (row) => {
    const key = keyAt(row);
    return key === null ? null : plainValue(key, isText);
  };
}

function plainValue(key: Key, isText: boolean): IcebergValue {
  if (!Buffer.isBuffer(key)) return key;
  return isText ? key.toString("utf8") : new Uint8Array(key);
}

function transformedAt(field: SourceField, value: IcebergValue | null, row: number): IcebergValue | null {
  try {
    return transformed(field.transform, field.type, value);
  } catch (error) {
    if (!(error instanceof TransformOverflow)) throw error;
    throw new MillraceError(
      "ROW_MISMATCH",
      `row ${row + 1}, field "${field.name}": expected a value with a partition, found ${error.message}`,
      {
        where: { row: row + 1, field: field.name },
        hint: `The table is divided by ${field.transform.kind} of "${field.name}". Leave such rows out and \`millrace run\` again, or leave the batch out: \`millrace skip\`.`,
      },
    );
  }
}
