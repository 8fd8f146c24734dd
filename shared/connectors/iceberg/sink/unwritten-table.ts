import { isDeepStrictEqual } from "node:util";
import type { Schema } from "apache-arrow";
import type { SchemaPlan } from "../evolve/plan-schema.ts";
import { currentSchema, currentSpec } from "../format/metadata.ts";
import { icebergSchemaOf, idsAfter, pathOf, typeOf } from "../format/schema.ts";
import type { IcebergSchema, NestedField, TableMetadata } from "../format/types.ts";

/**
 * Returns the columns of the rows as those of a table that was created and has no rows. A first run
 * may have failed because of a wrong type, and the table was created with it. Returns `undefined`
 * if the table has these columns already; it may have others, because another pipeline may be about
 * to write them. Also `undefined` if the table is partitioned by a column that changes.
 */
export function replacedSchema(
  metadata: TableMetadata,
  rows: Schema,
): Pick<SchemaPlan, "schema" | "lastColumnId"> | undefined {
  const current = currentSchema(metadata);
  const wanted = icebergSchemaOf(rows).schema;
  const sameAs = (field: NestedField) => current.fields.find((own) => isSameShape(own, field));
  const same = wanted.fields.map(sameAs);
  const isKept = current.fields.every((own) => !own.required || same.includes(own));
  if (isKept && !same.includes(undefined)) return undefined;
  let lastColumnId = metadata["last-column-id"];
  const next = idsAfter(lastColumnId);
  const counted = () => {
    lastColumnId = next();
    return lastColumnId;
  };
  const fields = wanted.fields.map((field, i): NestedField => {
    const own = same[i];
    if (own !== undefined) return own;
    const id = counted();
    const type = typeOf(rows.fields[i] as Schema["fields"][number], counted);
    return { id, name: field.name, required: field.required, type };
  });
  const schema: IcebergSchema = { type: "struct", "schema-id": current["schema-id"], fields };
  const hasSources = currentSpec(metadata).fields.every(
    (field) => pathOf(schema, field["source-id"]) !== undefined,
  );
  return hasSources ? { schema, lastColumnId } : undefined;
}

/** True if two fields differ in their ids at most. */
function isSameShape(a: NestedField, b: NestedField): boolean {
  return isDeepStrictEqual(withoutIds(a), withoutIds(b));
}

function withoutIds(value: unknown): unknown {
  const text = JSON.stringify(value, (key, inner: unknown) =>
    key === "id" || key.endsWith("-id") ? undefined : inner,
  );
  return JSON.parse(text) as unknown;
}
