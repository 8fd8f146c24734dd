import { makeData, RecordBatch, type Schema, Struct } from "apache-arrow";
import { type ErrorLocation, MillraceError, show } from "../contract/errors.ts";
import { isPlainObject, kindOf } from "../contract/json.ts";
import { schemaToJson, typeName } from "../contract/schema.ts";
import type { Row, RowSource } from "../contract/stream-reader.ts";
import { type ColumnBuilder, ValueMismatch } from "./builders/builder.ts";
import { columnBuilder } from "./builders/index.ts";
import { appendBelow, fieldOf } from "./builders/nested.ts";
import { rebind } from "./ipc-file.ts";

/** Rows in one record batch at most, as Spark's `spark.sql.execution.arrow.maxRecordsPerBatch`. */
const MAX_ROWS = 10_000;
/** Bytes of values after which a record batch ends early. */
const MAX_BYTES = 16 * 1024 * 1024;

/**
 * What a reader yields, as Arrow record batches of `schema`: rows are gathered, record batches pass through once their
 * schema was checked. Errors: `ROW_MISMATCH`, `ROW_NOT_A_ROW`, `BATCH_SCHEMA_MISMATCH`, `READ_NOT_ITERABLE`.
 */
export async function* toRecordBatches(
  schema: Schema,
  source: RowSource,
  where: ErrorLocation,
): AsyncGenerator<RecordBatch, void, undefined> {
  if (
    typeof source !== "object" ||
    source === null ||
    !(Symbol.asyncIterator in source || Symbol.iterator in source)
  ) {
    throw new MillraceError(
      "READ_NOT_ITERABLE",
      `read() must give an iterable of rows, but gave ${kindOf(source)}`,
      {
        where,
        hint: "Write it as a generator: async *read(partition) { … yield row; … }.",
      },
    );
  }
  const rows = new RowCollector(schema, where);
  for await (const item of source) {
    if (isRecordBatch(item)) {
      if (rows.pending > 0) yield rows.flush();
      yield conform(schema, item, where);
      rows.passed += item.numRows;
    } else {
      rows.append(item);
      if (rows.isFull) yield rows.flush();
    }
  }
  if (rows.pending > 0) yield rows.flush();
}

/** A record batch of these rows. Errors as `toRecordBatches`. */
export function recordBatchOf(schema: Schema, rows: Iterable<Row>): RecordBatch {
  const collector = new RowCollector(schema, {});
  for (const row of rows) collector.append(row);
  return collector.flush();
}

class RowCollector {
  readonly #schema: Schema;
  readonly #where: ErrorLocation;
  #columns: readonly ColumnBuilder[];
  /** Rows of this partition in the record batches before the pending one. */
  passed = 0;
  pending = 0;

  constructor(schema: Schema, where: ErrorLocation) {
    this.#schema = schema;
    this.#where = where;
    this.#columns = this.#newColumns();
  }

  #newColumns(): readonly ColumnBuilder[] {
    return this.#schema.fields.map((field) => columnBuilder(field.type, MAX_ROWS));
  }

  get isFull(): boolean {
    if (this.pending >= MAX_ROWS) return true;
    // Adding up the columns for each row would cost more than it saves.
    return (
      this.pending % 64 === 0 && this.#columns.reduce((sum, column) => sum + column.bytes, 0) >= MAX_BYTES
    );
  }

  append(row: Row): void {
    const { fields } = this.#schema;
    const byPosition = Array.isArray(row);
    if (typeof row !== "object" || row === null || row instanceof Map || ArrayBuffer.isView(row)) {
      this.#fail("ROW_NOT_A_ROW", `expected an object or an array, found ${kindOf(row)}`, row);
    }
    if (byPosition && row.length !== fields.length) {
      this.#fail(
        "ROW_MISMATCH",
        `expected ${fields.length} values (${fields.map((f) => f.name).join(", ")}), found ${row.length}`,
        row,
      );
    }
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i];
      const column = this.#columns[i];
      if (field === undefined || column === undefined) continue;
      const value: unknown = byPosition ? row[i] : fieldOf(row as Record<string, unknown>, field.name);
      try {
        if (value === undefined) throw new ValueMismatch(typeName(field.type), value, "nothing");
        appendBelow(column, value, field.nullable, "");
      } catch (error) {
        if (!(error instanceof ValueMismatch)) throw error;
        this.#failField(field.name + error.path, error);
      }
    }
    this.pending++;
  }

  flush(): RecordBatch {
    const data = makeData({
      type: new Struct(this.#schema.fields),
      length: this.pending,
      nullCount: 0,
      children: this.#columns.map((column) => column.finish()),
    });
    this.passed += this.pending;
    this.pending = 0;
    this.#columns = this.#newColumns();
    return new RecordBatch(this.#schema, data);
  }

  #failField(field: string, mismatch: ValueMismatch): never {
    const row = this.passed + this.pending + 1;
    const missing = mismatch.value === undefined;
    throw new MillraceError("ROW_MISMATCH", `row ${row}, field "${field}": ${mismatch.message}`, {
      where: { ...this.#where, row, field },
      hint: missing
        ? `Yield every field of the schema in each row; give null where "${field}" has no value.`
        : `Convert "${field}" in read(), or change its type in the schema.`,
      ...(missing ? {} : { found: show(mismatch.value) }),
    });
  }

  #fail(code: string, problem: string, value: unknown): never {
    const row = this.passed + this.pending + 1;
    throw new MillraceError(code, `row ${row}: ${problem}`, {
      where: { ...this.#where, row },
      hint: "Yield objects by field name, arrays in the order of the schema, or Arrow record batches.",
      found: show(value),
    });
  }
}

/** Also true for a record batch of another copy of Arrow, which `instanceof` would not know. */
function isRecordBatch(item: Row | RecordBatch): item is RecordBatch {
  if (item instanceof RecordBatch) return true;
  return (
    typeof item === "object" &&
    item !== null &&
    !isPlainObject(item) &&
    "numRows" in item &&
    "schema" in item &&
    "data" in item
  );
}

/** The same columns under our schema, where they are those of our schema. */
function conform(schema: Schema, batch: RecordBatch, where: ErrorLocation): RecordBatch {
  const mismatch = (problem: string) =>
    new MillraceError("BATCH_SCHEMA_MISMATCH", `read() gave a record batch ${problem}`, {
      where,
      hint: "Give the columns of the schema, in its order and with its types.",
    });
  const expected = describe(schema);
  const found = describe(batch.schema);
  if (expected !== found) throw mismatch(`of (${found}), but the schema is (${expected})`);
  schema.fields.forEach((field, i) => {
    const nulls = batch.data.children[i]?.nullCount ?? 0;
    if (nulls > 0 && !field.nullable)
      throw mismatch(`with ${nulls} nulls in "${field.name}", which is NOT NULL`);
  });
  return rebind(schema, batch);
}

function describe(schema: Schema): string {
  return schemaToJson(schema)
    .fields.map((field) => `${field.name} ${field.type}`)
    .join(", ");
}
