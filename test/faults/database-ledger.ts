import { MillraceError } from "../../shared/contract/errors.ts";
import type { Batch, Fence, LedgerLimits, Outcome } from "../../shared/engine/ports/ledger.ts";
import { isHeldBy } from "../../shared/engine/ports/refusals.ts";
import { SqliteLedger } from "../../shared/platform/embedded/sqlite-ledger.ts";
import type { BatchItem, Database } from "./database.ts";

const LIMITS = { messageBytes: 100 * 1024, offsetBytes: 100 * 1024, schemaBytes: 32 * 1024 };

/** A ledger that writes the rows of a batch into the database when it ends the batch. */
export class DatabaseLedger extends SqliteLedger {
  override readonly limits: LedgerLimits = { ...LIMITS, maxSinkItems: 90 };
  readonly #database: Database;
  #transaction: Promise<unknown> = Promise.resolve();

  constructor(path: string, database: Database) {
    super(path);
    this.#database = database;
  }

  /** One transaction after the other: two finalizers may work at once. */
  override async finish(fence: Fence, batch: Batch, outcome: Outcome): Promise<Batch> {
    const finished = this.#transaction.then(() => this.#finishAlone(fence, batch, outcome));
    this.#transaction = finished.catch(() => undefined);
    return await finished;
  }

  async #finishAlone(fence: Fence, batch: Batch, outcome: Outcome): Promise<Batch> {
    const items = (outcome.sinkItems ?? []) as readonly BatchItem[];
    const before = await this.batch(batch.pipeline, batch.batchId);
    const isFirst = before?.attempt === batch.attempt && before.state === "committing";
    const isChanged = items.some(({ after }) => after !== this.#database.batches.length);
    if (isFirst && isChanged && isHeldBy(fence, await this.head(fence.pipeline)))
      throw new MillraceError("TRANSACTION_REFUSED", "the database has changed", { retryable: true });
    const finished = await super.finish(fence, batch, outcome);
    if (isFirst && finished.state === "committed") for (const item of items) this.#database.add(item.batch);
    return finished;
  }
}
