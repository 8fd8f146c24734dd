import type { Schema } from "apache-arrow";
import { checkNewest, isSameBatch, UNKNOWN_PLAN } from "../contract/committed-batch.ts";
import type { Batch, Head } from "./ports/ledger.ts";
import { positionOf } from "./ports/position.ts";
import type { Sessions } from "./sessions/open-sessions.ts";

/**
 * Asks the sink for its newest batch, if it can tell, and compares it with the ledger. Returns
 * whether it is `open`, the batch that the ledger believes to be open, or `undefined` if the sink
 * cannot tell. Throws `LEDGER_BEHIND_SINK` or `SINK_BEHIND_LEDGER`. A later commit compares again,
 * in one step with its rows; this check only finds the problem before anything is done.
 */
export async function checkSinkPosition(
  { source, sink }: Sessions,
  head: Head,
  open?: { readonly batch: Batch; readonly schema: Schema },
): Promise<"landed" | "open" | undefined> {
  const schema = open?.schema ?? (await source.schema());
  const { follows } = positionOf(head);
  const found = await sink.newestBatch(schema, head.incarnation, head.lastCommit, follows);
  if (found === undefined) return undefined;
  const { newest } = found;
  const isLanded =
    open !== undefined &&
    newest !== undefined &&
    isSameBatch(newest, { ...open.batch, planId: open.batch.planId ?? UNKNOWN_PLAN });
  if (isLanded) return "landed";
  const { pipeline, incarnation } = head;
  if (!sink.isIndependent)
    checkNewest({ pipeline, incarnation, ...sink.continuityOf(positionOf(head)) }, newest);
  return "open";
}
