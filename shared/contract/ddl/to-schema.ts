import { DataType, Decimal, Field, List, Map_, Schema, Struct } from "apache-arrow";
import { MillraceError } from "../errors.ts";
import { kindOf } from "../json.ts";
import { parseDdl } from "./parse.ts";
import { typeName } from "./print.ts";
import { SIMPLE_TYPES } from "./types.ts";

/**
 * Turns what a source's `schema()` returned into an Arrow schema. Accepts DDL and Arrow schemas,
 * also those of another installed copy of apache-arrow. Throws `COLUMN_DUPLICATE`, and
 * `SCHEMA_INVALID` for anything else and for a schema without fields, whose rows would be committed
 * without columns.
 */
export function toSchema(given: unknown): Schema {
  if (typeof given === "string") return parseDdl(given);
  const fields = typeof given === "object" && given !== null && "fields" in given ? given.fields : undefined;
  if (!Array.isArray(fields) || fields.length === 0) {
    throw new MillraceError(
      "SCHEMA_INVALID",
      `schema() must give DDL or an Arrow Schema with fields, but gave ${kindOf(given)}`,
      {
        hint: 'Return Spark DDL, such as "id string NOT NULL, time timestamp, mag double", or an Arrow Schema.',
      },
    );
  }
  checkFieldNames(
    fields as Field[],
    (problem) =>
      new MillraceError("COLUMN_DUPLICATE", `schema() gave a schema that ${problem}`, {
        hint: "Give each column a name of its own.",
      }),
  );
  if (given instanceof Schema) return given;
  const { metadata } = given as Schema;
  return new Schema((fields as Field[]).map(copyField), new Map(metadata));
}

/**
 * Throws what `failed` returns if two fields, or two fields of a struct, have the same name. One
 * would get the other's values, as apache-arrow and rows know fields by name. `failed` gets the
 * problem in the form `has …`.
 */
export function checkFieldNames(
  fields: readonly Field[],
  failed: (problem: string) => Error,
  path = "",
): void {
  const seen = new Set<string>();
  for (const { name, type } of fields) {
    if (seen.has(name)) throw failed(`has the column "${path}${name}" twice`);
    seen.add(name);
    // The two fields of a map's entries are not known by name.
    const children = (type.children ?? []) as readonly Field[];
    if (DataType.isStruct(type)) checkFieldNames(children, failed, `${path}${name}.`);
    else for (const child of children) checkFieldNames([child], failed, `${path}${name}.`);
  }
}

/** Rebuilds a field with the classes of this copy of apache-arrow. */
function copyField(field: Field): Field {
  return new Field(field.name, copyType(field.type, field.name), field.nullable, new Map(field.metadata));
}

function copyType(type: DataType, name: string): DataType {
  const [child] = (type.children ?? []) as Field[];
  if (DataType.isStruct(type)) return new Struct(type.children.map(copyField));
  if (DataType.isList(type) && child !== undefined) return new List(copyField(child));
  if (DataType.isMap(type) && child !== undefined) {
    return new Map_(copyField(child) as Field<Struct>, type.keysSorted);
  }
  if (DataType.isDecimal(type)) return new Decimal(type.scale, type.precision, type.bitWidth);
  const simple = SIMPLE_TYPES.get(typeName(type));
  if (simple !== undefined) return simple();
  throw new MillraceError(
    "SCHEMA_INVALID",
    `field "${name}" has the Arrow type ${typeName(type)}, of another copy of apache-arrow, for which there is no DDL`,
    { hint: "Install one apache-arrow, of the version that millrace asks for, or choose a type of the DDL." },
  );
}
