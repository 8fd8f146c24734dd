import { DataType, type Field, LargeList, List, Map_, Schema, Struct } from "apache-arrow";
import { typeName } from "../contract/ddl/print.ts";
import { isNumberConvertible } from "./convert/leaves.ts";
import { isSameType } from "./same-type.ts";

/** A difference between the columns of a table and those of rows. */
export interface ColumnDifference {
  /** The column's full name, such as `place.x`. */
  readonly column: string;
  /** The difference, as a part of a sentence that names the column. */
  readonly text: string;
  /** True if the table can change so that it takes the rows and keeps its own. */
  readonly evolves: boolean;
}

/** What a table and rows differ in. */
export interface SchemaComparison {
  readonly differences: readonly ColumnDifference[];
  /**
   * The columns of the table as they are after a change: its own in their order, wider or nullable
   * if need be, then new ones, which may be null. It counts only if all differences evolve.
   */
  readonly merged: Schema;
}

/**
 * Compares the columns of rows with those of a table, by their names. Rows whose column may not be
 * null fit a table whose column may. `fixed` names columns whose type must not change.
 */
export function compareSchemas(table: Schema, rows: Schema, fixed: readonly string[] = []): SchemaComparison {
  const comparison = new Comparison(fixed);
  const fields = comparison.fields(table.fields, rows.fields, "");
  const { differences } = comparison;
  const order = (schema: Schema) => schema.fields.map(({ name }) => name).join("\0");
  if (differences.length === 0 && order(table) !== order(rows)) {
    const text = "the columns of the rows are in another order";
    differences.push({ column: "the order", text, evolves: true });
  }
  return { differences, merged: new Schema(fields, table.metadata) };
}

class Comparison {
  readonly differences: ColumnDifference[] = [];
  readonly #fixed: readonly string[];

  constructor(fixed: readonly string[]) {
    this.#fixed = fixed;
  }

  fields(table: readonly Field[], rows: readonly Field[], path: string): Field[] {
    const kept = table.map((field) => {
      const own = rows.find(({ name }) => name === field.name);
      return own === undefined ? this.#gone(field, path) : this.#field(field, own, path);
    });
    const known = new Set(table.map(({ name }) => name));
    const added = rows.filter(({ name }) => !known.has(name));
    return [...kept, ...added.map((field) => this.#added(field, table, path))];
  }

  #field(table: Field, rows: Field, path: string): Field {
    const column = `${path}${table.name}`;
    const type = this.#type(table.type, rows.type, column);
    const relaxes = !table.nullable && rows.nullable;
    if (relaxes)
      this.#difference(column, `"${column}" may be null in the rows, and is NOT NULL in the table`);
    const isSame = type === table.type && !relaxes;
    return isSame ? table : table.clone({ type, nullable: table.nullable || relaxes });
  }

  #gone(field: Field, path: string): Field {
    const column = `${path}${field.name}`;
    this.#difference(column, `"${column}" is gone: the rows do not have it`);
    return field.nullable ? field : field.clone({ nullable: true });
  }

  #added(field: Field, table: readonly Field[], path: string): Field {
    const column = `${path}${field.name}`;
    const like = table.find(({ name }) => name.toLowerCase() === field.name.toLowerCase());
    if (like === undefined) this.#difference(column, `"${column}" (${typeName(field.type)}) is new`);
    else this.#difference(column, `"${column}" differs from "${path}${like.name}" only in case`, false);
    return field.nullable ? field : field.clone({ nullable: true });
  }

  #type(table: DataType, rows: DataType, column: string): DataType {
    if (isSameType(table, rows)) return table;
    if (DataType.isStruct(table) && DataType.isStruct(rows)) {
      return new Struct(this.fields(table.children, rows.children, `${column}.`));
    }
    const [own, other] = [table.children?.[0] as Field | undefined, rows.children?.[0] as Field | undefined];
    if (own !== undefined && other !== undefined && table.typeId === rows.typeId) {
      const item = this.#field(own, other.clone({ name: own.name }), `${column}.`);
      if (DataType.isList(table)) return new List(item);
      if (DataType.isLargeList(table)) return new LargeList(item);
      if (DataType.isMap(table)) return new Map_(item as never, table.keysSorted);
    }
    return this.#leaf(table, rows, column);
  }

  #leaf(table: DataType, rows: DataType, column: string): DataType {
    const isWider = isNumberConvertible(table, rows);
    const evolves = (isWider || isNumberConvertible(rows, table)) && !this.#fixed.includes(column);
    const [was, is] = [typeName(table), typeName(rows)];
    this.#difference(column, `"${column}" was ${was} and is ${is}`, evolves);
    return isWider ? rows : table;
  }

  #difference(column: string, text: string, evolves = true): void {
    this.differences.push({ column, text, evolves });
  }
}

/** Says what a table and rows differ in, as a part of a sentence. */
export function describeDifferences(differences: readonly ColumnDifference[]): string {
  const shown = differences.slice(0, MAX_SHOWN).map(({ text }) => text);
  const more = differences.length - shown.length;
  return [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join("; ");
}
const MAX_SHOWN = 10;

/** Says what ends the differences: a choice of `.onSchemaChange()`, or nothing but other rows. */
export function remedyOf(differences: readonly ColumnDifference[]): string {
  const names = (some: readonly ColumnDifference[]) =>
    [...new Set(some.slice(0, MAX_SHOWN).map(({ column }) => `"${column}"`))].join(", ");
  const unsolved = differences.filter(({ evolves }) => !evolves);
  if (unsolved.length > 0)
    return `The table cannot take that over: give the rows ${names(unsolved)} as the table has it, or write to another table.`;
  return '`.onSchemaChange("evolve")` lets the table change: new columns are null in its older rows. Or change the schema back.';
}
