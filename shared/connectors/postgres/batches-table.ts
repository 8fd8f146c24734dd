import type { SinkContext } from "../../contract/context.ts";
import type { Session } from "./session.ts";
import { quoteTable } from "./table.ts";

/**
 * The table that records the last committed batch of each pipeline. It is updated in the
 * transaction that writes the batch's rows.
 */
export class BatchesTable {
  readonly #sql: string;

  /** `name` is the table's name as written in the options. */
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
   * Records the batch in the current transaction. Returns false if this batch or a later one is
   * already committed. If another transaction is recording the same batch, the statement waits for
   * it, so only one of them commits the batch.
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

  /** Returns the last committed batch, or -1 if there is none. */
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
 * Creates a table if it does not exist, in the current transaction. The lock is needed because two
 * parallel `CREATE TABLE IF NOT EXISTS` statements can fail.
 */
export async function makeTable(session: Session, sql: string, definition: string): Promise<void> {
  const doing = `making the table ${sql}`;
  await session.query(doing, "SELECT pg_advisory_xact_lock(hashtext('millrace'), hashtext($1))", [sql]);
  await session.execute(doing, `CREATE TABLE IF NOT EXISTS ${sql} (${definition})`);
}
