import { type Data, DataType, type Field, type RecordBatch, type Schema } from "apache-arrow";
import { typeName } from "../contract/ddl/print.ts";
import { type ErrorLocation, MillraceError } from "../contract/errors.ts";
import { checkData } from "./check-data.ts";
import { dictionaryOf } from "./dictionary-data.ts";
import { ArrowFormatError } from "./ipc/format-error.ts";
import { rebind } from "./ipc-file.ts";
import { isSameType } from "./same-type.ts";

/** Maximum number of names in a hint. */
const MAX_NAMES = 5;

/**
 * Returns a reader's record batch with our schema in place of its own. `name` is the word for the
 * batch in error messages. Throws `BATCH_SCHEMA_MISMATCH` if its columns differ from our schema in
 * name, type or order, or if a NOT NULL column contains a null; `BATCH_INVALID` if its buffers do
 * not fit each other.
 */
export function conform(schema: Schema, batch: RecordBatch, name: string, where: ErrorLocation): RecordBatch {
  checkSchema(schema, batch.schema, name, where);
  checkBuffers(schema, batch, name, where);
  for (const [i, field] of schema.fields.entries()) {
    const place = findNull(field, batch.data.children[i]);
    if (place === undefined) continue;
    throw new MillraceError(
      "BATCH_SCHEMA_MISMATCH",
      `${name}, field "${place}": expected no null (NOT NULL), found one`,
      {
        where: { ...where, field: place },
        hint: "Leave such rows out, or let the field be null in the schema.",
      },
    );
  }
  return rebind(schema, batch);
}

/** Throws `BATCH_INVALID` if the buffers of a column do not fit each other. */
function checkBuffers(schema: Schema, batch: RecordBatch, name: string, where: ErrorLocation): void {
  try {
    for (const [i, field] of schema.fields.entries()) {
      checkData(field.type, batch.data.children[i] as Data, field.name);
    }
  } catch (error) {
    if (!(error instanceof ArrowFormatError)) throw error;
    throw new MillraceError("BATCH_INVALID", `${name}, ${error.message}`, {
      where: { ...where, ...(error.column === undefined ? {} : { field: error.column }) },
      hint: "Build the column anew, as with vectorFromArray(values, type), or read it again.",
      cause: error,
    });
  }
}

/**
 * Throws `BATCH_SCHEMA_MISMATCH` if the columns of `found` differ from `schema` in name, type or
 * order.
 */
export function checkSchema(schema: Schema, found: Schema, name: string, where: ErrorLocation): void {
  const isSame =
    schema.fields.length === found.fields.length &&
    schema.fields.every((field, i) => isSameColumn(field, found.fields[i] as Field));
  if (isSame) return;
  const [ours, theirs] = [describe(schema), describe(found)];
  throw new MillraceError("BATCH_SCHEMA_MISMATCH", `${name}: expected (${ours}), found (${theirs})`, {
    where,
    hint: differenceOf(schema, found),
  });
}

function isSameColumn(one: Field, other: Field): boolean {
  return one.name === other.name && isSameType(one.type, other.type);
}

function describe(schema: Schema): string {
  return schema.fields.map((field) => `${field.name} ${typeName(field.type)}`).join(", ");
}

function differenceOf(schema: Schema, found: Schema): string {
  const names = schema.fields.map((field) => field.name);
  const missing = names.filter((name) => !found.fields.some((field) => field.name === name));
  const extra = found.fields.map((field) => field.name).filter((name) => !names.includes(name));
  const list = (some: readonly string[]) => {
    const more = some.length > MAX_NAMES ? ` and ${some.length - MAX_NAMES} more` : "";
    return `${some
      .slice(0, MAX_NAMES)
      .map((name) => `"${name}"`)
      .join(", ")}${more} ${some.length === 1 ? "is" : "are"}`;
  };
  if (missing.length > 0 && extra.length > 0) {
    return `${list(missing)} missing, and ${list(extra)} not in the schema: call the columns as the schema does.`;
  }
  if (missing.length > 0) return `${list(missing)} missing.`;
  for (const { name, type } of schema.fields) {
    const other = found.fields.find((field) => field.name === name)?.type;
    if (other === undefined || isSameType(other, type)) continue;
    const isDictionary = DataType.isDictionary(other);
    return `"${name}" must be ${typeName(type)}, not ${typeName(other)}: ${
      isDictionary
        ? "Arrow makes dictionaries of strings where it is not told the type, as in vectorFromArray(values, new Utf8())."
        : "build the column with that type, or change the schema."
    }`;
  }
  const select = `yield batch.select([${names.map((name) => JSON.stringify(name)).join(", ")}])`;
  if (extra.length > 0) return `${list(extra)} not in the schema: add it there, or ${select}.`;
  return `The columns are in another order: ${select}.`;
}

/** True if the value that contains the value at an index is there. */
type IsParentPresent = (index: number) => boolean;

/**
 * Returns the path of the first NOT NULL field that contains a null, also inside structs, lists and
 * maps. Values of a struct or list that is null itself are not checked. A union has no nulls of its
 * own; those of its types are theirs.
 */
export function findNull(
  field: Field,
  data: Data | undefined,
  isParentPresent: IsParentPresent = () => true,
): string | undefined {
  if (data === undefined || DataType.isUnion(field.type)) return undefined;
  const { type, nullable, name } = field;
  const isPresent = presenceOf(type, data);
  if (!nullable && isPresent !== undefined) {
    for (let i = 0; i < data.length; i++) if (isParentPresent(i) && !isPresent(i)) return name;
  }
  const place = findNullInside(field, data, (i) => isParentPresent(i) && (isPresent?.(i) ?? true));
  return place === undefined ? undefined : `${name}.${place}`;
}

function findNullInside({ type }: Field, data: Data, isInside: IsParentPresent): string | undefined {
  const children = DataType.isDictionary(type) ? [] : ((type.children ?? []) as readonly Field[]);
  if (!children.some(hasNotNull)) return undefined;
  const isChildPresent = DataType.isStruct(type) ? isInside : itemsInside(type, data, isInside);
  for (const [i, child] of children.entries()) {
    const place = findNull(child, data.children[i], isChildPresent);
    if (place !== undefined) return place;
  }
  return undefined;
}

/** Returns a test if a value is not null, or `undefined` if none is. */
export function presenceOf(type: DataType, data: Data): IsParentPresent | undefined {
  if (DataType.isNull(type)) return () => false;
  const own = data.nullCount > 0 ? (index: number) => data.getValid(index) : undefined;
  if (!DataType.isDictionary(type)) return own;
  const dictionary = dictionaryOf(data);
  const inner = presenceOf(type.dictionary, dictionary);
  if (inner === undefined) return own;
  return (index) => (own?.(index) ?? true) && inner(Number(data.values[index]));
}

function hasNotNull(field: Field): boolean {
  return !field.nullable || ((field.type.children ?? []) as readonly Field[]).some(hasNotNull);
}

/** Returns a test if an item belongs to a list that is there. */
function itemsInside(type: DataType, data: Data, isInside: IsParentPresent): IsParentPresent {
  const { length, valueOffsets } = data;
  const boundary = DataType.isFixedSizeList(type)
    ? (i: number) => i * type.listSize
    : (i: number) => Number(valueOffsets[i]);
  let inside: Set<number> | undefined;
  const collect = () => {
    const items = new Set<number>();
    for (let i = 0; i < length; i++) {
      if (isInside(i)) for (let item = boundary(i); item < boundary(i + 1); item++) items.add(item);
    }
    return items;
  };
  return (item) => {
    inside ??= collect();
    return inside.has(item);
  };
}
