import type { CommittedBatch } from "../../shared/contract/batch-identity.ts";
import type { BatchContext } from "../../shared/contract/context.ts";
import type { TransactionItem } from "../../shared/contract/stream-writer.ts";
import type { LandedBatch } from "./landed-batch.ts";
import { MergedRows } from "./merged-rows.ts";
import { RowTable } from "./row-table.ts";

/** The rows of a batch, which the ledger writes together with the end of the batch. */
export interface BatchItem extends TransactionItem {
  readonly kind: "batch";
  readonly batch: LandedBatch;
  /** Number of batches in the database when the item was made. */
  readonly after: number;
}

/** A database outside of the store. Each change of it is one transaction. */
export class Database {
  readonly batches: LandedBatch[] = [];
  /** The rows that attempts of tasks have staged. */
  readonly staged = new Map<string, readonly number[]>();
  /** The table whose rows commands change. */
  readonly table: RowTable = new RowTable();
  /** The table that a stream of changes is merged into. */
  readonly merged: MergedRows = new MergedRows();

  get newest(): CommittedBatch | undefined {
    return this.batches.at(-1);
  }

  has({ batchId, planId }: BatchContext): boolean {
    return this.batches.some((batch) => batch.batchId === batchId && batch.planId === planId);
  }

  add(batch: LandedBatch): void {
    this.batches.push(batch);
  }

  rows(): readonly number[] {
    return this.batches.flatMap(({ ids }) => ids);
  }
}

/** Returns a batch with its rows in the form in which the database keeps it. */
export function landed(
  { incarnation, batchId, planId, start, end }: BatchContext,
  ids: readonly number[],
): LandedBatch {
  return { incarnation, batchId, planId, start, end, ids };
}
