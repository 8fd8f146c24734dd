import { ReadAllAvailable } from "../../../shared/contract/read-limit.ts";
import type { PostgresServer } from "../../postgres/databases.ts";
import { Desk } from "../../postgres/desk.ts";

export const ALL = new ReadAllAvailable();

/** Opens a database with the table `t`, which has the columns `id` (a sequence) and `word`. */
export async function deskOf(server: PostgresServer): Promise<Desk> {
  const made = await Desk.open(server);
  await made.db.query("CREATE TABLE t (id bigserial PRIMARY KEY, word text)");
  return made;
}
