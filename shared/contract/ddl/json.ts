import type { Schema } from "apache-arrow";
import { quotedName, typeName } from "./print.ts";

/** A schema as JSON: `{ fields: [{ name, type, nullable }] }`. Types are named as in Spark DDL. */
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

/** Returns the Spark DDL of a schema in JSON form. */
export function toDdl({ fields }: SchemaJson): string {
  return fields
    .map(({ name, type, nullable }) => `${quotedName(name)} ${type}${nullable ? "" : " NOT NULL"}`)
    .join(", ");
}
