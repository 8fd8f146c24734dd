import * as z from "zod";
import { MillraceError } from "../../../contract/errors.ts";
import type { TableMetadata } from "../format/types.ts";

/** Names by which a field of the table is known in files that have no field ids. */
export interface MappedField {
  /** Absent: the name is in files, but the table does not read it. */
  readonly "field-id"?: number | undefined;
  readonly names: readonly string[];
  /** Fields of a struct, `element` of a list, `key` and `value` of a map. */
  readonly fields?: readonly MappedField[] | undefined;
}

/** Name of the table property that has the mapping. */
const NAME_MAPPING = "schema.name-mapping.default";

const Mapped: z.ZodType<MappedField> = z.lazy(() =>
  z.object({
    "field-id": z.int().optional(),
    names: z.array(z.string()),
    fields: z.array(Mapped).optional(),
  }),
);

/**
 * Returns the table's name mapping, or `undefined` if it has none. Throws `TABLE_NOT_READABLE` if
 * the property has another form.
 */
export function nameMappingOf({ properties, location }: TableMetadata): readonly MappedField[] | undefined {
  const text = properties[NAME_MAPPING];
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const { data } = z.array(Mapped).safeParse(value);
  if (data !== undefined) return data;
  throw new MillraceError("TABLE_NOT_READABLE", `the table's property ${NAME_MAPPING} is no name mapping`, {
    where: { path: location },
    hint: "Correct the property with the program that set it, for example Spark's `ALTER TABLE … SET TBLPROPERTIES`.",
  });
}
