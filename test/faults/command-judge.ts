import type { Ledger } from "../../shared/engine/ports/ledger.ts";
import { COMMANDS } from "./commands.ts";
import type { Database, LandedBatch } from "./database.ts";
import { FIRST_ROWS, type TableRow } from "./row-table.ts";
import type { CommandName } from "./setup.ts";

interface Left {
  readonly pipeline: string;
  readonly ledger: Ledger;
  readonly database: Database;
}

/**
 * Judges the rows that commands leave: the meaning of the command, once for each batch that the
 * table has, between the rows that another writer has inserted. Returns what is broken.
 */
export async function judgeCommand(
  { pipeline, ledger, database }: Left,
  name: CommandName,
  isRolledBack: boolean,
): Promise<readonly string[]> {
  const broken: string[] = [];
  const batches = await ledger.batches(pipeline, { limit: 1000 });
  const skipped = new Set(batches.filter((batch) => batch.skipped !== undefined).map(keyOf));
  let rows: readonly TableRow[] = FIRST_ROWS;
  for (const event of database.table.events) {
    if ("row" in event) {
      rows = [...rows, event.row];
      continue;
    }
    if (!skipped.has(keyOf(event.batch))) rows = COMMANDS[name].meaning(rows);
    if (textOf(rows) !== textOf(event.rows)) broken.push("the rows are not those that commands mean");
  }
  if (textOf(rows) !== textOf(database.table.rows)) broken.push("the rows are not those that commands mean");
  // A ledger that was rolled back does not know which batches have landed since.
  if (isRolledBack) return broken;
  const known = batches.filter(({ state }) => state === "committed").map(keyOf);
  const landed = database.batches.map(keyOf);
  if (landed.some((key) => !known.includes(key))) broken.push("the table has a batch that is not committed");
  if (known.some((key) => !landed.includes(key))) broken.push("a command was not carried out");
  return broken;
}

function keyOf({ incarnation, batchId }: Pick<LandedBatch, "incarnation" | "batchId">): string {
  return `${incarnation} ${batchId}`;
}

function textOf(rows: readonly TableRow[]): string {
  return JSON.stringify(
    rows.map(({ id, v }) => [id, v]).toSorted(([a = 0, b = 0], [c = 0, d = 0]) => a - c || b - d),
  );
}
