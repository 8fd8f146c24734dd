import type { Schema } from "apache-arrow";
import { quotedName, typeName } from "./print.ts";

/** A schema as JSON: `{ fields: [{ name, type, nullable }] }`, types as in DDL. */
export interface SchemaJson {
  readonly fields: readonly { readonly name: string; readonly type: string; readonly nullable: boolean }[];
}

export function schemaToJson(schema: Schema): SchemaJson {
  return {
    fields: schema.fields.map((field) => ({
      name: field.name,
      type: typeName(field.type),
      nullable: field.nullable,
    })),
  };
}

/** The DDL of a schema in JSON. */
export function toDdl({ fields }: SchemaJson): string {
  return fields
    .map(({ name, type, nullable }) => `${quotedName(name)} ${type}${nullable ? "" : " NOT NULL"}`)
    .join(", ");
}
