import type { SinkContext } from "../../contract/context.ts";
import type { Session } from "./connection.ts";
import { quoteTable } from "./table.ts";

/**
 * The table with the last batch of each pipeline that landed: written in the transaction that makes
 * the batch's rows visible.
 */
export class BatchesTable {
  readonly #sql: string;

  /** `name` as in the options. */
  constructor(name: string) {
    this.#sql = quoteTable(name);
  }

  async make(session: Session): Promise<void> {
    if (await this.#isThere(session)) return;
    await session.transaction("READ WRITE", () =>
      makeTable(
        session,
        this.#sql,
        `pipeline text, incarnation text, batch_id bigint NOT NULL, committed_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (pipeline, incarnation)`,
      ),
    );
  }

  /**
   * Records the batch, in the transaction that is open. False if it has landed, it or a later
   * one. Another transaction that is about to record it is waited for: of several that commit one
   * batch at once, one does.
   */
  async record(session: Session, { pipeline, incarnation }: SinkContext, batchId: number): Promise<boolean> {
    const rows = await session.query(
      "recording the batch",
      `INSERT INTO ${this.#sql} AS last (pipeline, incarnation, batch_id) VALUES ($1, $2, $3)
       ON CONFLICT (pipeline, incarnation) DO UPDATE SET batch_id = excluded.batch_id, committed_at = now()
       WHERE last.batch_id < excluded.batch_id
       RETURNING batch_id`,
      [pipeline, incarnation, batchId],
    );
    return rows.length > 0;
  }

  /** The last batch that landed, -1 if none has. */
  async last(session: Session, { pipeline, incarnation }: SinkContext): Promise<number> {
    if (!(await this.#isThere(session))) return -1;
    const [row] = await session.query(
      "looking up the last batch",
      `SELECT batch_id FROM ${this.#sql} WHERE pipeline = $1 AND incarnation = $2`,
      [pipeline, incarnation],
    );
    return Number(row?.[0] ?? -1);
  }

  async #isThere(session: Session): Promise<boolean> {
    const sql = "SELECT to_regclass($1) IS NOT NULL";
    const [row] = await session.query("looking up the table of batches", sql, [this.#sql]);
    return row?.[0] === "t";
  }
}

/**
 * Makes a table that is not there, in the transaction that is open. Two at once would fail, even
 * with IF NOT EXISTS.
 */
export async function makeTable(session: Session, sql: string, definition: string): Promise<void> {
  const doing = `making the table ${sql}`;
  await session.query(doing, "SELECT pg_advisory_xact_lock(hashtext('millrace'), hashtext($1))", [sql]);
  await session.execute(doing, `CREATE TABLE IF NOT EXISTS ${sql} (${definition})`);
}
