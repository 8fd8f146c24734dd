import { escapeIdentifier } from "./identifier.ts";
import type { Merge, MergeCounts } from "./merge.ts";
import { CHANGE, CHANGES, idColumn, isChanged, NUMBER, OPERATION, SEQUENCE } from "./staged-changes.ts";
import { columnNamed } from "./table.ts";

/** Most tombstones that one commit removes, so that a commit stays short. */
const MAX_REMOVED = 10_000;

/**
 * Merges the loaded changes into the target, in the current transaction. The side table decides:
 * what it has not taken as newer does not reach the target. Its rows are locked in the order of the
 * keys, so two merges into one table wait for each other key by key, and in one direction.
 */
export async function mergeNewestState(merge: Merge): Promise<MergeCounts> {
  const { session, target } = merge;
  const run = (sql: string) => session.query(`merging into ${target.sql}`, sql);
  const [[all] = []] = await run(`SELECT count(*) FROM ${CHANGES}`);
  await run(dropOlderOfBatch(merge));
  await session.query(`merging into ${target.sql}`, takeNewer(merge), [timeOf(merge.plannedAt)]);
  const [[applied, deleted] = []] = await run(
    `SELECT count(*), count(*) FILTER (WHERE ${OPERATION} = ${CHANGE.delete}) FROM ${CHANGES}`,
  );
  await run(
    `DELETE FROM ${target.sql} AS old USING ${CHANGES} AS new WHERE new.${OPERATION} = ${CHANGE.delete} AND ${isChanged(merge.layout.ids)}`,
  );
  await run(upsert(merge));
  await removeTombstones(merge);
  return {
    upserted: Number(applied) - Number(deleted),
    deleted: Number(deleted),
    outdated: Number(all) - Number(applied),
  };
}

export function timeOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

function idList({ layout }: Merge, alias: string): string {
  return layout.ids.fields.map((_, i) => `${alias}.${idColumn(i)}`).join(", ");
}

function keyList({ layout }: Merge): string {
  return layout.ids.fields.map(({ name }) => escapeIdentifier(name)).join(", ");
}

/** Of the changes of a key in one batch, the one with the largest sequence stays. */
function dropOlderOfBatch(merge: Merge): string {
  return `DELETE FROM ${CHANGES} AS new USING (
      SELECT ${NUMBER}, row_number() OVER (PARTITION BY ${idList(merge, "one")} ORDER BY one.${SEQUENCE} DESC, one.${NUMBER}) AS place
      FROM ${CHANGES} AS one
    ) AS placed WHERE placed.${NUMBER} = new.${NUMBER} AND placed.place > 1`;
}

/** Writes newer sequences to the side table, and drops the changes that it has not taken. */
function takeNewer(merge: Merge): string {
  const keys = keyList(merge);
  const isTaken = merge.layout.ids.fields.map(
    ({ name }, i) => `taken.${escapeIdentifier(name)} = new.${idColumn(i)}`,
  );
  return `WITH taken AS (
      INSERT INTO ${merge.side.sql} AS last (${keys}, __sequence, __deleted, __changed_at)
      SELECT ${idList(merge, "new")}, new.${SEQUENCE}, new.${OPERATION} = ${CHANGE.delete}, $1::timestamptz
      FROM ${CHANGES} AS new ORDER BY ${idList(merge, "new")}
      ON CONFLICT (${keys}) DO UPDATE SET __sequence = excluded.__sequence, __deleted = excluded.__deleted,
        __changed_at = greatest(last.__changed_at, excluded.__changed_at)
      WHERE excluded.__sequence > last.__sequence
      RETURNING ${keys}
    ) DELETE FROM ${CHANGES} AS new WHERE NOT EXISTS (SELECT 1 FROM taken WHERE ${isTaken.join(" AND ")})`;
}

/** Returns the quoted columns that a merge writes. The server computes generated columns. */
export function writtenColumns({ target, layout }: Merge): readonly string[] {
  return layout.rows.fields
    .filter(({ name }) => !columnNamed(target, name).isGenerated)
    .map(({ name }) => escapeIdentifier(name));
}

function upsert(merge: Merge): string {
  const { target, layout } = merge;
  const names = writtenColumns(merge);
  const keys = layout.ids.fields.map(({ name }) => escapeIdentifier(name));
  const updated = names.filter((name) => !keys.includes(name)).map((name) => `${name} = excluded.${name}`);
  const action = updated.length === 0 ? "NOTHING" : `UPDATE SET ${updated.join(", ")}`;
  return `INSERT INTO ${target.sql} (${names.join(", ")}) OVERRIDING SYSTEM VALUE
    SELECT ${names.map((name) => `new.${name}`).join(", ")} FROM ${CHANGES} AS new
    WHERE new.${OPERATION} <> ${CHANGE.delete} ORDER BY ${idList(merge, "new")}
    ON CONFLICT (${keys.join(", ")}) DO ${action}`;
}

/**
 * Removes some of the tombstones that are old enough. Those that another merge has locked are left
 * to the next one.
 */
async function removeTombstones({
  session,
  side,
  plannedAt,
  tombstonesKeptMilliseconds,
}: Merge): Promise<void> {
  await session.query(
    `removing old deletes from ${side.sql}`,
    `DELETE FROM ${side.sql} WHERE ctid = ANY(ARRAY(
       SELECT ctid FROM ${side.sql} WHERE __deleted AND __changed_at < $1::timestamptz
       ORDER BY __changed_at LIMIT ${MAX_REMOVED} FOR UPDATE SKIP LOCKED
     ))`,
    [timeOf(plannedAt - tombstonesKeptMilliseconds)],
  );
}
