import * as z from "zod";
import { MillraceError } from "../../contract/errors.ts";
import type { Offset } from "../../contract/offset.ts";
import { offsetOf } from "../kit/offset-fields.ts";
import { stateOf } from "../kit/postgres/errors.ts";
import type { Session } from "../kit/postgres/session.ts";
import { type Cursor, MARK, type Position } from "./cursor.ts";
import { refuseValue } from "./cursor-values.ts";
import { partsOf, type TableMark, type TableOffset } from "./table-mark.ts";

const TABLE_MARK: z.ZodType<TableMark> = z.strictObject({
  oid: z.string(),
  file: z.string(),
  sequence: z.string().exactOptional(),
  value: z.string().exactOptional(),
  rows: z.string(),
  version: z.string().exactOptional(),
});
// A person may write a number as such; an offset has it as text.
const VALUE = z.union([z.string(), z.number().transform(String)]);
const FIELDS = z.object({ [MARK]: TABLE_MARK.exactOptional() }).catchall(VALUE);

/**
 * Returns the offset that a person gives, if the cursor can go on after it. The server is asked
 * whether the values are of the columns' types. Errors: `OPTIONS_INVALID`, `OFFSET_FIELD_INVALID`,
 * `POSTGRES_CURSOR_UNSAFE`, `POSTGRES_FAILED`.
 */
export async function givenOffset(session: Session, cursor: Cursor, json: Offset): Promise<TableOffset> {
  const offset = offsetOf(FIELDS as z.ZodType<TableOffset>, json);
  const { position } = partsOf(offset);
  cursor.check(position);
  await checkValues(session, cursor, position);
  return offset;
}

async function checkValues(session: Session, cursor: Cursor, position: Position): Promise<void> {
  for (const { name, type } of cursor.columns) {
    const value = position[name];
    if (value === undefined) continue;
    try {
      await session.query("trying the offset", `SELECT $1::${type}`, [value]);
    } catch (error) {
      // Class 22 is about values that are none of their type.
      if (!MillraceError.is(error) || stateOf(error.cause)?.startsWith("22") !== true) throw error;
      throw new MillraceError("OFFSET_FIELD_INVALID", `offset field "${name}": expected a value of ${type}`, {
        where: { field: name },
        hint: "Write the value as PostgreSQL does.",
      });
    }
  }
  const first = position[cursor.columns[0].name];
  if (first !== undefined) refuseValue(cursor, first);
}
