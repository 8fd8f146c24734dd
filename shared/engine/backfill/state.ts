import { valueOfBound } from "../../contract/bounds.ts";
import type { Head, Ledger } from "../ports/ledger.ts";
import type { BackfillClaim } from "../ports/manual-operations.ts";

/** True if all batches of the backfill are committed. */
export async function isFinished(ledger: Pick<Ledger, "head">, claim: BackfillClaim): Promise<boolean> {
  return hasReached(await ledger.head(claim.name), claim);
}

/** True if the head of a backfill says that all its batches are committed. */
export function hasReached(head: Head | undefined, { to }: Pick<BackfillClaim, "to">): boolean {
  const bound = reachedBound(head);
  return bound !== undefined && head?.openBatchId === undefined && valueOfBound(bound) >= valueOfBound(to);
}

/** Returns the bound up to which a backfill has committed; `undefined` before its first batch. */
export function reachedBound(head: Head | undefined): string | undefined {
  const bound = head?.offset?.["bound"];
  return typeof bound === "string" ? bound : undefined;
}
