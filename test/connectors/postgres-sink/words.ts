import type { Row } from "../../../shared/contract/stream-reader.ts";
import type { Desk } from "../../postgres/desk.ts";

export const KEYED = { keyColumns: ["id"] };
export const row = (id: number, word: string | null = "w"): Row => ({ id, word });
export const rowsOf = async (d: Desk) => await d.db.query("SELECT id, word FROM t ORDER BY id, word");
