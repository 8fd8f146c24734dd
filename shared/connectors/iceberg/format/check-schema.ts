import type { JsonObject } from "./json-object.ts";
import type { IcebergSchema, IcebergType, NestedField } from "./types.ts";

const SIMPLE_TYPES: ReadonlySet<unknown> = new Set([
  ...["boolean", "int", "long", "float", "double", "date", "time", "timestamp", "timestamptz"],
  ...["string", "uuid", "binary"],
]);

/**
 * Returns a schema of metadata, checked. Types with parameters get one text: `decimal(9, 2)`.
 * Unknown keys are kept.
 */
export function checkedSchema(schema: JsonObject): IcebergSchema {
  const ids = new Set<number>();
  const fields = checkedFields(schema, ids);
  return {
    ...schema.json,
    type: "struct",
    "schema-id": schema.optionalInteger("schema-id") ?? 0,
    fields,
  };
}

function checkedFields(struct: JsonObject, ids: Set<number>): NestedField[] {
  const names = new Set<string>();
  return struct.objects("fields").map((field) => {
    const name = field.text("name");
    if (names.has(name)) throw field.fail(`the name ${JSON.stringify(name)} is there twice`);
    names.add(name);
    return {
      ...field.json,
      id: newId(field, "id", ids),
      name,
      required: field.boolean("required"),
      type: checkedType(field, "type", ids),
    };
  });
}

function newId(object: JsonObject, key: string, ids: Set<number>): number {
  const id = object.integer(key);
  if (ids.has(id)) throw object.fail(`the field id ${id} is there twice`);
  ids.add(id);
  return id;
}

function checkedType(parent: JsonObject, key: string, ids: Set<number>): IcebergType {
  if (typeof parent.json[key] === "string") return checkedPrimitive(parent, key);
  const type = parent.object(key);
  switch (type.text("type")) {
    case "struct":
      return { ...type.json, type: "struct", fields: checkedFields(type, ids) };
    case "list":
      return {
        ...type.json,
        type: "list",
        "element-id": newId(type, "element-id", ids),
        element: checkedType(type, "element", ids),
        "element-required": type.boolean("element-required"),
      };
    case "map":
      return {
        ...type.json,
        type: "map",
        "key-id": newId(type, "key-id", ids),
        key: checkedType(type, "key", ids),
        "value-id": newId(type, "value-id", ids),
        value: checkedType(type, "value", ids),
        "value-required": type.boolean("value-required"),
      };
    default:
      throw type.fail(`the type ${JSON.stringify(type.text("type"))} is unknown`);
  }
}

function checkedPrimitive(parent: JsonObject, key: string): string {
  const type = parent.text(key);
  if (SIMPLE_TYPES.has(type)) return type;
  const size = /^fixed\[\s*(\d+)\s*\]$/.exec(type)?.[1];
  if (size !== undefined) return `fixed[${size}]`;
  const [, precision, scale] = /^decimal\(\s*(\d+)\s*,\s*(\d+)\s*\)$/.exec(type) ?? [];
  if (precision !== undefined) return `decimal(${precision}, ${scale})`;
  throw parent.fail(`the type ${JSON.stringify(type)} is not one of format version 2`);
}

/** Calls `visit` with the id of every field, at all levels. */
export function visitIds(type: IcebergType, visit: (id: number) => void): void {
  if (typeof type === "string") return;
  if (type.type === "struct") {
    for (const field of type.fields) {
      visit(field.id);
      visitIds(field.type, visit);
    }
  } else if (type.type === "list") {
    visit(type["element-id"]);
    visitIds(type.element, visit);
  } else {
    visit(type["key-id"]);
    visitIds(type.key, visit);
    visit(type["value-id"]);
    visitIds(type.value, visit);
  }
}

/** Returns the highest field id of a schema, and 0 if it has no fields. */
export function highestFieldId(schema: IcebergType): number {
  let highest = 0;
  visitIds(schema, (id) => {
    highest = Math.max(highest, id);
  });
  return highest;
}
