import type { RefusedRows } from "../../contract/bad-rows.ts";
import { type CommittedBatch, UNKNOWN_PLAN } from "../../contract/batch-identity.ts";
import { isCommitted } from "../../contract/committed-batch.ts";
import type { BatchContext, SinkContext } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import { canonicalJson } from "../../contract/json.ts";
import type { Offset } from "../../contract/offset.ts";
import { optional } from "../../contract/optional.ts";
import { newerFormat } from "../kit/newer-format.ts";
import type { Session } from "../kit/postgres/session.ts";
import { lockBatches } from "./batch-lock.ts";
import type { ParsedOptions } from "./options.ts";
import { besideTable, quoteTable } from "./table.ts";

/**
 * Version of the table's form. Version 1 had only `pipeline`, `incarnation`, `batch_id` and
 * `committed_at`. Version 3 added `refused`.
 */
const FORMAT = 3;

/** The columns that version 1 lacks. */
const ADDED = {
  format: "integer NOT NULL",
  sequence: "bigint NOT NULL DEFAULT 0",
  plan_id: "text",
  start_offset: "text",
  end_offset: "text",
  refused: "text",
} as const;

const DEFINITION = `pipeline text, incarnation text, batch_id bigint NOT NULL, committed_at timestamptz NOT NULL DEFAULT now(), ${Object.entries(
  ADDED,
)
  .map(([name, type]) => `${name} ${type}`)
  .join(", ")}, PRIMARY KEY (pipeline, incarnation)`;

/** SQLSTATE of an error about missing rights. */
const NO_RIGHT = "42501";

/** A row of the table as JSON. Rows of older versions lack the fields that were added. */
interface StoredBatch {
  readonly incarnation: string;
  readonly batch_id: number;
  readonly format?: number;
  readonly sequence?: number;
  readonly plan_id?: string | null;
  readonly start_offset?: string | null;
  readonly end_offset?: string | null;
  readonly refused?: string | null;
}

/**
 * The table that records the last committed batch of each incarnation of each pipeline. It is
 * updated in the transaction that writes the batch's rows.
 */
export class BatchesTable {
  readonly #sql: string;

  /** `name` is the table's name as written in the options. */
  constructor(name: string) {
    this.#sql = quoteTable(name);
  }

  /**
   * Creates the table, or adds the columns that a table of the older version lacks. Error:
   * `POSTGRES_FAILED`, with the statements to run if the user lacks the right.
   */
  async make(session: Session): Promise<void> {
    const found = await this.#columns(session);
    if (Object.keys(ADDED).every((name) => found.includes(name))) return;
    const statements = found.length === 0 ? [this.#creation] : this.#migration;
    try {
      await session.transaction("READ WRITE", () => this.#makeOrMigrate(session));
    } catch (error) {
      throw withStatements(error, statements);
    }
  }

  async #makeOrMigrate(session: Session): Promise<void> {
    await makeTable(session, this.#sql, DEFINITION);
    for (const statement of this.#migration)
      await session.execute(`adding columns to ${this.#sql}`, statement);
  }

  get #creation(): string {
    return `CREATE TABLE ${this.#sql} (${DEFINITION})`;
  }

  /**
   * The statements that bring a table to this version. An older Millrace does not write `format`,
   * which has no default, so the server refuses its commits from then on.
   */
  get #migration(): readonly string[] {
    const added = Object.entries(ADDED).map(
      ([name, type]) => `ADD COLUMN IF NOT EXISTS ${name} ${type}${name === "format" ? " DEFAULT 1" : ""}`,
    );
    return [
      `ALTER TABLE ${this.#sql} ${added.join(", ")}`,
      `ALTER TABLE ${this.#sql} ALTER COLUMN format DROP DEFAULT`,
    ];
  }

  /**
   * Records the batch in the current transaction. Returns false if it is already committed. Other
   * transactions that record a batch of the pipeline, of any incarnation, wait until this one ends.
   * Errors: `LEDGER_BEHIND_SINK`, `SINK_BEHIND_LEDGER`, `TABLE_VERSION`.
   */
  async record(session: Session, batch: BatchContext): Promise<boolean> {
    const { pipeline, incarnation, batchId, planId, start, end } = batch;
    await lockBatches(session, pipeline);
    const rows = await this.#rows(session, pipeline);
    if (isCommitted(batch, newestFor(batch, rows))) return false;
    await session.query(
      "recording the batch",
      `INSERT INTO ${this.#sql} (pipeline, incarnation, batch_id, format, sequence, plan_id, start_offset, end_offset)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
       ON CONFLICT (pipeline, incarnation) DO UPDATE SET batch_id = excluded.batch_id, committed_at = now(),
         format = excluded.format, sequence = excluded.sequence, plan_id = excluded.plan_id,
         start_offset = excluded.start_offset, end_offset = excluded.end_offset, refused = NULL`,
      [
        pipeline,
        incarnation,
        batchId,
        FORMAT,
        (rows[0]?.sequence ?? 0) + 1,
        planId,
        canonicalJson(start),
        canonicalJson(end),
      ],
    );
    return true;
  }

  /** Records in the current transaction which rows of the batch, just recorded, were refused. */
  async recordRefused(
    session: Session,
    { pipeline, incarnation }: BatchContext,
    refused: RefusedRows,
  ): Promise<void> {
    await session.query(
      "recording the refused rows of the batch",
      `UPDATE ${this.#sql} SET refused = $3 WHERE pipeline = $1 AND incarnation = $2`,
      [pipeline, incarnation, JSON.stringify(refused)],
    );
  }

  /**
   * Returns what is recorded of the rows that were refused of a committed batch. Errors: those of
   * `record`.
   */
  async refused(session: Session, batch: BatchContext): Promise<RefusedRows | undefined> {
    const rows = await this.#settledRows(session, batch.pipeline);
    if (!isCommitted(batch, newestFor(batch, rows))) return undefined;
    const text = rows.find(({ incarnation }) => incarnation === batch.incarnation)?.refused;
    return text == null ? undefined : (JSON.parse(text) as RefusedRows);
  }

  /** Returns true if the batch is committed. Errors: those of `record`. */
  async has(session: Session, batch: BatchContext): Promise<boolean> {
    return isCommitted(batch, newestFor(batch, await this.#settledRows(session, batch.pipeline)));
  }

  /** Returns the newest batch of the pipeline, of any incarnation. Error: `TABLE_VERSION`. */
  async newest(session: Session, pipeline: string): Promise<CommittedBatch | undefined> {
    const [row] = await this.#settledRows(session, pipeline);
    return row && batchOf(row);
  }

  /**
   * Returns the rows of the pipeline when no commit of it is open on the server any more, because
   * such a commit may still take effect.
   */
  async #settledRows(session: Session, pipeline: string): Promise<readonly StoredBatch[]> {
    return await session.transaction("READ WRITE", async () => {
      await lockBatches(session, pipeline);
      return await this.#rowsIfAny(session, pipeline);
    });
  }

  /** Returns the id of the newest batch of this incarnation, or -1 if there is none. */
  async last(session: Session, { pipeline, incarnation }: SinkContext): Promise<number> {
    const rows = await this.#rowsIfAny(session, pipeline);
    return rows.find((row) => row.incarnation === incarnation)?.batch_id ?? -1;
  }

  async #rowsIfAny(session: Session, pipeline: string): Promise<readonly StoredBatch[]> {
    return (await this.#columns(session)).length === 0 ? [] : await this.#rows(session, pipeline);
  }

  /**
   * Returns the rows of the pipeline, the newest first. Each is read as JSON, because a table of
   * an older version lacks columns, and only a commit may add them. Its rows have no sequence, so
   * their order is that of the server's clock.
   */
  async #rows(session: Session, pipeline: string): Promise<readonly StoredBatch[]> {
    const rows = await session.query(
      "looking up the newest batch",
      `SELECT to_jsonb(last) FROM ${this.#sql} AS last WHERE pipeline = $1
       ORDER BY (to_jsonb(last)->>'sequence')::bigint DESC NULLS LAST, committed_at DESC`,
      [pipeline],
    );
    const stored = rows.map(([json]) => JSON.parse(json ?? "{}") as StoredBatch);
    const newer = stored.find(({ format = 1 }) => format > FORMAT);
    if (newer === undefined) return stored;
    throw newerFormat(`${this.#sql} has a row of`, newer.format, FORMAT, { pipeline });
  }

  /** Returns the names of the table's columns, or none if there is no table. */
  async #columns(session: Session): Promise<readonly string[]> {
    const rows = await session.query(
      "looking up the table of batches",
      "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped",
      [this.#sql],
    );
    return rows.map(([name]) => name ?? "");
  }
}

/** Returns the table of batches that the options name. */
export function batchesTableOf({
  batchesTable,
  table,
}: Pick<ParsedOptions, "batchesTable" | "table">): BatchesTable {
  return new BatchesTable(batchesTable ?? besideTable(table, () => "millrace_batches"));
}

/**
 * Returns the batch that a new batch is compared with. The batches of a batch pipeline do not
 * continue each other, so only those of its own incarnation matter.
 */
function newestFor(
  { continuity, incarnation }: BatchContext,
  rows: readonly StoredBatch[],
): CommittedBatch | undefined {
  const row = continuity === "independent" ? rows.find((one) => one.incarnation === incarnation) : rows[0];
  return row && batchOf(row);
}

function batchOf({
  incarnation,
  batch_id: batchId,
  plan_id: planId,
  start_offset: start,
  end_offset: end,
}: StoredBatch): CommittedBatch {
  return {
    incarnation,
    batchId,
    planId: planId ?? UNKNOWN_PLAN,
    ...optional("start", offsetOf(start)),
    ...optional("end", offsetOf(end)),
  };
}

function offsetOf(text: string | null | undefined): Offset | undefined {
  return text == null ? undefined : (JSON.parse(text) as Offset);
}

/** If rights are missing, adds the statements that the table's owner must run. */
export function withStatements(error: unknown, statements: readonly string[]): unknown {
  if (!MillraceError.is(error) || (error.cause as { code?: unknown } | undefined)?.code !== NO_RIGHT)
    return error;
  return error.with({
    hint: `Nothing was written. Have the owner of the table or schema run \`${statements.join("; ")}\`, then run again.`,
  });
}

/**
 * Creates a table if it does not exist, in the current transaction. The lock is needed because two
 * parallel `CREATE TABLE IF NOT EXISTS` statements can fail.
 */
export async function makeTable(session: Session, sql: string, definition: string): Promise<void> {
  await lockCreation(session, sql);
  await session.execute(`making the table ${sql}`, `CREATE TABLE IF NOT EXISTS ${sql} (${definition})`);
}

/** Waits until no other transaction is about to create the table, and keeps others from it. */
export async function lockCreation(session: Session, sql: string): Promise<void> {
  const statement = "SELECT pg_advisory_xact_lock(hashtext('millrace'), hashtext($1))";
  await session.query(`making the table ${sql}`, statement, [sql]);
}
