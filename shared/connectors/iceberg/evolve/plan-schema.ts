import { DataType, type Field, type Schema } from "apache-arrow";
import { castTo } from "../../../arrow/cast-column.ts";
import { differenceOf } from "../../../arrow/convert/columns.ts";
import { matchNames } from "../../../arrow/match-names.ts";
import { typeName } from "../../../contract/ddl/print.ts";
import { MillraceError } from "../../../contract/errors.ts";
import type { OnSchemaChange } from "../../../contract/write/write-info.ts";
import { arrowField } from "../format/arrow-schema.ts";
import { childrenOf, idsAfter, type NextId, pathOf, typeOf } from "../format/schema.ts";
import type {
  IcebergSchema,
  IcebergType,
  ListType,
  MapType,
  NestedField,
  PrimitiveType,
  StructType,
} from "../format/types.ts";
import { isPromotion } from "./promotion.ts";
import { type ColumnProblem, schemaChanged } from "./schema-changed.ts";

/** A change of a table's columns. `column` is a full name, such as `place.x` or `tags.element`. */
export type SchemaChange =
  | { readonly kind: "add"; readonly column: string; readonly id: number; readonly type: IcebergType }
  | {
      readonly kind: "widen";
      readonly column: string;
      readonly id: number;
      readonly from: PrimitiveType;
      readonly to: PrimitiveType;
    }
  /** A column that had a value in each row may be null. */
  | { readonly kind: "relax"; readonly column: string; readonly id: number };

/** The columns that a table has after a batch. */
export interface SchemaPlan {
  /**
   * The current schema itself if nothing changes. Otherwise a new one, still with the current
   * `schema-id`, which the commit replaces.
   */
  readonly schema: IcebergSchema;
  readonly lastColumnId: number;
  readonly changes: readonly SchemaChange[];
  /** Full names of columns of the rows that the table lacks, and that are left out. */
  readonly ignored: readonly string[];
}

/**
 * Compares the columns of rows with those of a table, and returns the columns that the table has
 * after the batch. Names are compared without case, at the top and inside structs, lists and maps.
 * New columns are optional, come last in their struct, and get new ids in the order of Iceberg's
 * Java library. A column with a wider type in the table is no change, and neither is a narrower one
 * if each value can be checked when it is written. Throws `SCHEMA_CHANGED` with all problems.
 */
export function planSchema(
  current: IcebergSchema,
  lastColumnId: number,
  rows: Schema,
  mode: OnSchemaChange,
): SchemaPlan {
  const planner = new Planner(current, lastColumnId, mode);
  const fields = planner.fields(current.fields, rows.fields, { path: "", isTop: true, isKey: false });
  const { problems, changes, ignored } = planner;
  const schema = changes.length === 0 ? current : { ...current, fields };
  if (problems.length === 0 && changes.length > 0) problems.push(...sameNames(schema));
  if (problems.length > 0) throw schemaChanged(problems, current, rows);
  return { schema, lastColumnId: planner.lastColumnId, changes, ignored };
}

/** Where the fields are that are compared. */
interface Place {
  /** The beginning of the full names of the fields: empty, or `place.`. */
  readonly path: string;
  /** True of whole columns, whose values may be checked one by one when they are written. */
  readonly isTop: boolean;
  /** True inside the key of a map, which must not change. */
  readonly isKey: boolean;
}

class Planner {
  readonly changes: SchemaChange[] = [];
  readonly ignored: string[] = [];
  readonly problems: ColumnProblem[] = [];
  lastColumnId: number;
  readonly #mode: OnSchemaChange;
  /** Ids of fields that must not be null, because they identify rows, or contain such fields. */
  readonly #identifying: ReadonlySet<number>;

  constructor(current: IcebergSchema, lastColumnId: number, mode: OnSchemaChange) {
    this.lastColumnId = lastColumnId;
    this.#mode = mode;
    const identifiers = current["identifier-field-ids"] ?? [];
    this.#identifying = new Set(
      identifiers.flatMap((id) => (pathOf(current, id) ?? []).map((field) => field.id)),
    );
  }

  /** Returns the fields of a struct as they are after the batch. */
  fields(own: readonly NestedField[], rows: readonly Field[], place: Place): readonly NestedField[] {
    const { path } = place;
    const names = [own, rows].map((fields) => fields.map(({ name }) => name)) as [string[], string[]];
    const match = matchNames(...names, path);
    for (const text of match.problems) this.#problem(path.slice(0, -1) || "the rows", text);
    const planned = new Map<number, NestedField>();
    const missing: Field[] = [];
    for (const [i, field] of rows.entries()) {
      const index = match.fields[i];
      if (index === undefined) missing.push(field);
      else planned.set(index, this.#field(own[index] as NestedField, field, place));
    }
    const kept = own.map((field, i) => planned.get(i) ?? this.#absent(field, place));
    return [...kept, ...missing.flatMap((field) => this.#missing(field, place))];
  }

  #field(own: NestedField, rows: Field, place: Place): NestedField {
    const column = `${place.path}${own.name}`;
    const type = this.#type(own, rows, { ...place, path: column });
    const required = own.required && !(rows.nullable && this.#relax(own, column, place));
    return { ...own, type, required };
  }

  /** Returns true if the field becomes optional. */
  #relax({ id }: NestedField, column: string, { isKey }: Place): boolean {
    if (this.#mode !== "evolve" || isKey || this.#identifying.has(id)) return false;
    this.changes.push({ kind: "relax", column, id });
    return true;
  }

  /** Plans a field that the rows lack, which is null in them. */
  #absent(own: NestedField, place: Place): NestedField {
    const column = `${place.path}${own.name}`;
    if (!own.required) return own;
    if (this.#relax(own, column, place)) return { ...own, required: false };
    const isFixed = place.isKey || this.#identifying.has(own.id);
    const why = this.#identifying.has(own.id) ? ", and identifies rows" : "";
    this.#problem(
      column,
      `"${column}" is missing in the rows, and is NOT NULL in the table${why}`,
      isFixed ? [] : ["evolve"],
    );
    return own;
  }

  /** Plans a column that the table lacks. */
  #missing(field: Field, { path, isKey }: Place): readonly NestedField[] {
    const column = `${path}${field.name}`;
    if (isKey) {
      this.#problem(column, `"${column}" is not in the table, whose keys of maps cannot change`);
    } else if (this.#mode === "ignore") {
      this.ignored.push(column);
    } else if (this.#mode === "evolve") {
      return this.#added(field, column);
    } else {
      this.#problem(column, `"${column}", which is ${typeName(field.type)}, is not in the table`, [
        ...(isStorable(field) ? (["evolve"] as const) : []),
        "ignore",
      ]);
    }
    return [];
  }

  #added(field: Field, column: string): readonly NestedField[] {
    const nextId = idsAfter(this.lastColumnId);
    const counted: NextId = () => {
      this.lastColumnId = nextId();
      return this.lastColumnId;
    };
    const id = counted();
    const type = storedType(field, counted);
    if (type === undefined) {
      this.#problem(column, `"${column}" is new, and Iceberg cannot store ${typeName(field.type)}`, [
        "ignore",
      ]);
      return [];
    }
    this.changes.push({ kind: "add", column, id, type });
    return [{ id, name: field.name, required: false, type }];
  }

  /** Returns the type of a field after the batch. `place.path` is the field's full name. */
  #type(own: NestedField, rows: Field, place: Place): IcebergType {
    const { type } = own;
    if (typeof type === "string") return this.#leaf(own, type, rows, place);
    const found = rows.type;
    const inner = { ...place, path: `${place.path}.`, isTop: false };
    if (type.type === "struct" && DataType.isStruct(found)) {
      return { ...type, fields: this.fields(type.fields, found.children, inner) };
    }
    const [item] = (found.children ?? []) as readonly Field[];
    if (type.type === "list" && isListLike(found) && item !== undefined) {
      return this.#list(type, item, inner);
    }
    if (type.type === "map" && DataType.isMap(found) && item !== undefined) {
      return this.#map(type, item.type.children as readonly Field[], inner);
    }
    // A column of nulls only can be stored in any type.
    if (!(place.isTop && DataType.isNull(found))) this.#cannotStore(own, rows, place.path);
    return type;
  }

  #list(type: ListType, item: Field, place: Place): ListType {
    const [own] = childrenOf(type);
    const element = this.#field(own as NestedField, item, place);
    return { ...type, element: element.type, "element-required": element.required };
  }

  #map(type: MapType, [rowsKey, rowsValue]: readonly Field[], place: Place): MapType {
    const [ownKey, ownValue] = childrenOf(type);
    const key = this.#field(ownKey as NestedField, rowsKey as Field, { ...place, isKey: true });
    const value = this.#field(ownValue as NestedField, rowsValue as Field, place);
    return { ...type, key: key.type, value: value.type, "value-required": value.required };
  }

  #leaf(own: NestedField, type: PrimitiveType, rows: Field, { path, isTop, isKey }: Place): PrimitiveType {
    const found = storedType(rows, () => 0);
    const wider = typeof found === "string" && isPromotion(type, found) ? found : undefined;
    if (wider !== undefined && this.#mode === "evolve" && !isKey) {
      this.changes.push({ kind: "widen", column: path, id: own.id, from: type, to: wider });
      return wider;
    }
    if (!canStore(rows, own, isTop)) {
      this.#cannotStore(own, rows, path, wider !== undefined && !isKey ? ["evolve"] : []);
    }
    return type;
  }

  #cannotStore(
    own: NestedField,
    rows: Field,
    column: string,
    solvedBy: readonly OnSchemaChange[] = [],
  ): void {
    const [found, wanted] = [typeName(rows.type), typeName(arrowField(own).type)];
    this.#problem(
      column,
      `"${column}" is ${found} in the rows, which is not safely stored as ${wanted}`,
      solvedBy,
    );
  }

  #problem(column: string, text: string, solvedBy: readonly OnSchemaChange[] = []): void {
    this.problems.push({ column, text, solvedBy });
  }
}

/** True if the table's type holds the values, or a check finds those that it does not hold. */
function canStore(rows: Field, own: NestedField, isTop: boolean): boolean {
  const to = arrowField(own);
  return isTop
    ? castTo(rows, to) !== undefined
    : differenceOf(rows.type, to.type, "", () => undefined) === undefined;
}

/**
 * Returns the type in which Iceberg stores a column, or `undefined` if it has none. Structs, lists
 * and maps in a dictionary are not stored, because nothing matches their names.
 */
function storedType(field: Field, nextId: NextId): IcebergType | undefined {
  try {
    const type = typeOf(field, nextId);
    return typeof type !== "string" && DataType.isDictionary(field.type) ? undefined : type;
  } catch (error) {
    if (MillraceError.is(error) && error.code === "COLUMN_TYPE_NOT_SUPPORTED") return undefined;
    throw error;
  }
}

function isStorable(field: Field): boolean {
  return storedType(field, () => 0) !== undefined;
}

/** Full names that two fields have, such as a column `a.b` beside the field `b` of `a`. */
function sameNames(schema: StructType): readonly ColumnProblem[] {
  const names = [...fullNames(schema, "")];
  const seen = new Set<string>();
  return names
    .filter((name) => seen.has(name) || !seen.add(name))
    .map((column) => ({ column, text: `"${column}" would name two fields of the table`, solvedBy: [] }));
}

function* fullNames(type: IcebergType, path: string): Generator<string> {
  for (const field of childrenOf(type)) {
    yield `${path}${field.name}`;
    yield* fullNames(field.type, `${path}${field.name}.`);
  }
}

function isListLike(type: DataType): boolean {
  return DataType.isList(type) || DataType.isLargeList(type) || DataType.isFixedSizeList(type);
}
