import { DataType, type Field, type RecordBatch, Schema, type Struct } from "apache-arrow";
import { recordBatchOf, toRecordBatches } from "../arrow/record-batches.ts";
import { rowsOf } from "../arrow/rows.ts";
import type { ErrorLocation } from "../contract/errors.ts";
import { MillraceError } from "../contract/errors.ts";
import type { Attribute, Filter, FilterValue } from "../contract/filters.ts";
import { suggest } from "../contract/options.ts";
import { typeName } from "../contract/schema.ts";
import type { NamedRow, RowSource } from "../contract/stream-reader.ts";

/** True, false, or unknown (`undefined`) because of a null: SQL's logic. */
type Test = (row: NamedRow) => boolean | undefined;

/** The rows for which all filters hold: what the source could not do itself. Error: `FILTER_INVALID`, and those of rows. */
export async function* filtered(
  schema: Schema,
  rows: RowSource,
  filters: readonly Filter[],
  where: ErrorLocation,
): AsyncGenerator<NamedRow | RecordBatch> {
  const tests = filters.map((filter) => testOf(schema, filter));
  for await (const batch of toRecordBatches(schema, rows, where)) {
    const kept = [...rowsOf(batch)].filter((row) => tests.every((test) => test(row) === true));
    if (kept.length === batch.numRows) yield batch;
    else yield* kept;
  }
}

/** Error: `FILTER_INVALID`, where a filter names no column, or compares with what the column cannot hold. */
export function checkFilters(schema: Schema, filters: readonly Filter[]): void {
  for (const filter of filters) testOf(schema, filter);
}

function testOf(schema: Schema, filter: Filter): Test {
  if (filter.kind === "Not") {
    const child = testOf(schema, filter.child);
    return (row) => {
      const is = child(row);
      return is === undefined ? undefined : !is;
    };
  }
  const { attribute } = filter;
  const field = fieldAt(schema, filter.kind, attribute);
  const read = (row: NamedRow) => valueAt(row, attribute);
  if (filter.kind === "IsNull") return (row) => read(row) === null;
  if (filter.kind === "IsNotNull") return (row) => read(row) !== null;
  if (filter.kind === "In") {
    const values = filter.value.map((value) => comparable(field, value, filter.kind));
    return (row) => {
      const value = keyOf(field, read(row));
      if (value === null) return undefined;
      return values.includes(value) || (values.includes(null) ? undefined : false);
    };
  }
  const wanted = comparable(field, filter.value, filter.kind);
  if (filter.kind === "EqualNullSafe") return (row) => keyOf(field, read(row)) === wanted;
  const compare = COMPARISONS[filter.kind];
  return (row) => {
    const value = keyOf(field, read(row));
    return value === null || wanted === null ? undefined : compare(value, wanted);
  };
}

type Key = string | number | bigint | boolean;

const COMPARISONS: Readonly<
  Record<
    Exclude<Filter["kind"], "Not" | "IsNull" | "IsNotNull" | "In" | "EqualNullSafe">,
    (value: Key, wanted: Key) => boolean
  >
> = {
  EqualTo: (value, wanted) => value === wanted,
  GreaterThan: (value, wanted) => value > wanted,
  GreaterThanOrEqual: (value, wanted) => value >= wanted,
  LessThan: (value, wanted) => value < wanted,
  LessThanOrEqual: (value, wanted) => value <= wanted,
  StringStartsWith: (value, wanted) => String(value).startsWith(String(wanted)),
  StringEndsWith: (value, wanted) => String(value).endsWith(String(wanted)),
  StringContains: (value, wanted) => String(value).includes(String(wanted)),
};

function fieldAt(schema: Schema, kind: string, attribute: Attribute): Field {
  let fields: readonly Field[] = schema.fields;
  let found: Field | undefined;
  for (const name of attribute) {
    found = fields.find((field) => field.name === name);
    if (found === undefined) {
      const names = fields.map((field) => field.name);
      throw invalid(
        `${kind} names the column "${attribute.join(".")}", which is not there${suggest(name, names)}`,
      );
    }
    fields = DataType.isStruct(found.type) ? (found.type as Struct).children : [];
  }
  if (found === undefined) throw invalid(`${kind} names no column`);
  if (!DataType.isStruct(found.type) && !DataType.isList(found.type) && !DataType.isMap(found.type))
    return found;
  if (kind === "IsNull" || kind === "IsNotNull") return found;
  throw invalid(`${kind} cannot compare "${attribute.join(".")}", which is ${typeName(found.type)}`);
}

function valueAt(row: NamedRow, [name = "", ...below]: Attribute): unknown {
  const value = row[name] ?? null;
  return below.length === 0 || value === null ? value : valueAt(value as NamedRow, below);
}

/** A value of the filter, in the same form as that of a row: it takes the same way into the column's type. */
function comparable(field: Field, value: FilterValue, kind: string): Key | null {
  const column = new Schema([field.clone({ nullable: true })]);
  try {
    const [row = {}] = rowsOf(recordBatchOf(column, [[value]]));
    return keyOf(field, row[field.name] ?? null);
  } catch (error) {
    const problem = MillraceError.is(error) ? error.message.replace(/^row 1, /, "") : String(error);
    throw invalid(`${kind} compares with a value that does not fit: ${problem}`);
  }
}

/** What orders as the column's type does. */
function keyOf({ type }: Field, value: unknown): Key | null {
  if (value === null) return null;
  if (DataType.isInt(type)) return BigInt(value as number | string);
  // Of one column all have the same digits after the point.
  if (DataType.isDecimal(type)) return BigInt(String(value).replace(".", ""));
  // Up to three or six digits after the point: as text, "…00Z" would come after "…00.5Z".
  if (DataType.isTimestamp(type)) return String(value).replace(/Z$/, "").padEnd(26, "0");
  return value as Key;
}

function invalid(problem: string): MillraceError {
  return new MillraceError("FILTER_INVALID", problem, {
    hint: "Name a column of the schema, and compare it with a value that it can hold.",
  });
}
