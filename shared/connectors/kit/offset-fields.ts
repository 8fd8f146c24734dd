import type * as z from "zod";
import { MillraceError } from "../../contract/errors.ts";
import type { Offset } from "../../contract/offset.ts";

/**
 * Returns the offset that this JSON is, for `deserializeOffset` of a reader. `fields` is the schema
 * of its fields. Throws `OFFSET_FIELD_INVALID`, which names all fields that are wrong.
 */
export function offsetOf<O>(fields: z.ZodType<O>, json: Offset): O {
  const { success, data, error } = fields.safeParse(json);
  if (success) return data;
  const problems = error.issues.map(({ path, message }) =>
    [path.join("."), message].filter(Boolean).join(": "),
  );
  throw new MillraceError("OFFSET_FIELD_INVALID", `fields of the offset are wrong: ${problems.join("; ")}`, {
    hint: "Write all its fields as the source writes them.",
  });
}
