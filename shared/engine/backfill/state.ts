import { type BackfillRange, pipelineOfBackfill } from "../../contract/backfill.ts";
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

/** How far a backfill is. */
export interface BackfillProgress extends BackfillRange {
  /** Name of the pipeline that it belongs to. */
  readonly pipeline: string;
  readonly done: boolean;
  /** Whole percent of the range that are committed. */
  readonly percent: number;
}

/** Returns how far a backfill is; `undefined` for any other pipeline, and for a range given up. */
export async function backfillProgress(
  ledger: Pick<Ledger, "head">,
  name: string,
  head: Head | undefined,
): Promise<BackfillProgress | undefined> {
  const pipeline = pipelineOfBackfill(name);
  if (pipeline === undefined) return undefined;
  const claim = (await ledger.head(pipeline))?.backfills?.find((each) => each.name === name);
  if (claim === undefined) return undefined;
  const { from, to, chunk } = claim;
  const [first, last] = [valueOfBound(from), valueOfBound(to)];
  const at = valueOfBound(reachedBound(head) ?? from);
  const percent = Number(((at - first) * 100n) / (last - first));
  return { pipeline, from, to, chunk, done: hasReached(head, claim), percent };
}
