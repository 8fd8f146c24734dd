import { END, START } from "./changes-table.ts";
import { escapeIdentifier } from "./identifier.ts";
import type { Merge, MergeCounts } from "./merge.ts";
import { timeOf, writtenColumns } from "./merge-newest-state.ts";
import { CHANGE, CHANGES, idColumn, NUMBER, OPERATION, SEQUENCE, START_AT } from "./staged-changes.ts";

const [STARTS, ENDS] = [escapeIdentifier(START), escapeIdentifier(END)];

/**
 * Adds the loaded changes to the target that has all states, in the current transaction. The side
 * table has all changes, in the order of their sequences, so each state ends at the next change of
 * its key, in whatever order the changes come.
 */
export async function mergeAllStates(merge: Merge): Promise<MergeCounts> {
  const { session, target } = merge;
  const run = (sql: string, values: readonly unknown[] = []) =>
    session.query(`merging into ${target.sql}`, sql, values);
  const [[all] = []] = await run(`SELECT count(*) FROM ${CHANGES}`);
  await lockKeys(merge);
  await run(dropEqual(merge));
  await run(takeNew(merge), [timeOf(merge.plannedAt)]);
  const [[applied, deleted] = []] = await run(
    `SELECT count(*), count(*) FILTER (WHERE ${OPERATION} = ${CHANGE.delete}) FROM ${CHANGES}`,
  );
  await run(insertStates(merge));
  await run(endStates(merge));
  await run(endFormerRows(merge));
  return {
    upserted: Number(applied) - Number(deleted),
    deleted: Number(deleted),
    outdated: Number(all) - Number(applied),
  };
}

/**
 * Two merges may add different changes of one key, and neither would see those of the other. So a
 * merge waits for the others: it takes the table's lock that conflicts with itself only.
 */
async function lockKeys({ session, side }: Merge): Promise<void> {
  await session.execute(`locking ${side.sql}`, `LOCK TABLE ${side.sql} IN SHARE UPDATE EXCLUSIVE MODE`);
}

function keys({ layout }: Merge, alias?: string): string {
  return layout.ids.fields
    .map(({ name }) => `${alias === undefined ? "" : `${alias}.`}${escapeIdentifier(name)}`)
    .join(", ");
}

function ids({ layout }: Merge): string {
  return layout.ids.fields.map((_, i) => `new.${idColumn(i)}`).join(", ");
}

function sameKeys({ layout }: Merge, a: string, b: string): string {
  return layout.ids.fields
    .map(({ name }) => `${a}.${escapeIdentifier(name)} = ${b}.${escapeIdentifier(name)}`)
    .join(" AND ");
}

/** Of the changes of a key with one sequence in one batch, the first stays. */
function dropEqual(merge: Merge): string {
  return `DELETE FROM ${CHANGES} AS new USING (
      SELECT new.${NUMBER}, row_number() OVER (PARTITION BY ${ids(merge)}, new.${SEQUENCE} ORDER BY new.${NUMBER}) AS place
      FROM ${CHANGES} AS new
    ) AS placed WHERE placed.${NUMBER} = new.${NUMBER} AND placed.place > 1`;
}

/** Writes new changes to the side table, and drops those that it has already. */
function takeNew(merge: Merge): string {
  const isTaken = merge.layout.ids.fields.map(
    ({ name }, i) => `taken.${escapeIdentifier(name)} = new.${idColumn(i)}`,
  );
  return `WITH taken AS (
      INSERT INTO ${merge.side.sql} (${keys(merge)}, __sequence, __deleted, __changed_at, __start_at)
      SELECT ${ids(merge)}, new.${SEQUENCE}, new.${OPERATION} = ${CHANGE.delete}, $1::timestamptz, new.${START_AT}
      FROM ${CHANGES} AS new ORDER BY ${ids(merge)}, new.${SEQUENCE}
      ON CONFLICT (${keys(merge)}, __sequence) DO NOTHING RETURNING ${keys(merge)}, __sequence
    ) DELETE FROM ${CHANGES} AS new WHERE NOT EXISTS (
      SELECT 1 FROM taken WHERE ${isTaken.join(" AND ")} AND taken.__sequence = new.${SEQUENCE}
    )`;
}

/** A row that the target had before with the same start stays as it is. */
function insertStates(merge: Merge): string {
  const names = writtenColumns(merge);
  return `INSERT INTO ${merge.target.sql} (${[...names, STARTS].join(", ")}) OVERRIDING SYSTEM VALUE
    SELECT ${[...names.map((name) => `new.${name}`), `new.${START_AT}`].join(", ")} FROM ${CHANGES} AS new
    WHERE new.${OPERATION} <> ${CHANGE.delete} ORDER BY ${ids(merge)}, new.${SEQUENCE}
    ON CONFLICT (${keys(merge)}, ${STARTS}) DO NOTHING`;
}

/** Selects the side table's changes of the keys that have new ones. */
function affected(merge: Merge, columns: string): string {
  const isNew = merge.layout.ids.fields.map(
    ({ name }, i) => `side.${escapeIdentifier(name)} = new.${idColumn(i)}`,
  );
  return `SELECT ${columns} FROM ${merge.side.sql} AS side
    WHERE EXISTS (SELECT 1 FROM ${CHANGES} AS new WHERE ${isNew.join(" AND ")})`;
}

/** Ends each state of the affected keys at the next change. */
function endStates(merge: Merge): string {
  const own = keys(merge, "side");
  const next = `lead(side.__start_at) OVER (PARTITION BY ${own} ORDER BY side.__sequence) AS ends`;
  return `UPDATE ${merge.target.sql} AS old SET ${ENDS} = state.ends
    FROM (${affected(merge, `${own}, side.__start_at AS starts, side.__deleted AS is_deleted, ${next}`)}) AS state
    WHERE ${sameKeys(merge, "old", "state")} AND old.${STARTS} = state.starts AND NOT state.is_deleted
      AND state.ends IS NOT NULL AND old.${ENDS} IS DISTINCT FROM state.ends`;
}

/**
 * Ends the rows that the target had before the first merge. They count as older than every change,
 * so the first change of their key ends them, unless they had an end of their own.
 */
function endFormerRows(merge: Merge): string {
  const own = keys(merge, "side");
  const isFormer = `NOT EXISTS (SELECT 1 FROM ${merge.side.sql} AS side WHERE ${sameKeys(merge, "side", "old")} AND NOT side.__deleted AND side.__start_at = old.${STARTS})`;
  const wasEnded = `EXISTS (SELECT 1 FROM ${merge.side.sql} AS side WHERE ${sameKeys(merge, "side", "old")} AND side.__start_at = old.${ENDS})`;
  return `UPDATE ${merge.target.sql} AS old SET ${ENDS} = first.starts
    FROM (${affected(merge, `DISTINCT ON (${own}) ${own}, side.__start_at AS starts`)} ORDER BY ${own}, side.__sequence) AS first
    WHERE ${sameKeys(merge, "old", "first")} AND ${isFormer} AND (old.${ENDS} IS NULL OR ${wasEnded})
      AND old.${ENDS} IS DISTINCT FROM first.starts`;
}
