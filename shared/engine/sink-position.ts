import type { Schema } from "apache-arrow";
import { isSameBatch } from "../contract/batch-identity.ts";
import { checkNewest } from "../contract/committed-batch.ts";
import { MillraceError } from "../contract/errors.ts";
import type { Batch, Head } from "./ports/ledger.ts";
import { identityOf, positionOf } from "./ports/position.ts";
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
  // Batches of a batch pipeline do not continue each other: only the commit compares.
  if (sink.isIndependent) return undefined;
  const schema = open?.schema ?? (await source.schema());
  const { follows } = positionOf(head);
  const found = await sink.newestBatch(schema, head.incarnation, head.lastCommit, follows);
  if (found === undefined) return undefined;
  const { newest } = found;
  const isLanded = open !== undefined && newest !== undefined && isSameBatch(newest, identityOf(open.batch));
  if (isLanded) return "landed";
  const { pipeline, incarnation } = head;
  try {
    checkNewest({ pipeline, incarnation, ...sink.continuityOf(positionOf(head)) }, newest);
  } catch (error) {
    throw open === undefined || !MillraceError.is(error) ? error : withOpenBatch(error, pipeline);
  }
  return "open";
}

/**
 * Returns the error with the way out if a batch is open. A rewind is refused then, and a skip would
 * use up the batch's id in a sink that lacks batches before it.
 */
export function withOpenBatch(error: MillraceError, pipeline: string): MillraceError {
  if (error.code !== "SINK_BEHIND_LEDGER") return error;
  const isEmpty = error.hint?.includes("--to-start") ?? false;
  const [where, command] = isEmpty
    ? ["at the start of the source", `millrace adopt ${pipeline} --from-start`]
    : ["after the newest batch in the sink", `millrace adopt ${pipeline}`];
  return error.with({
    hint: `Nothing was written, and the source was told nothing. To give up the open batch and go on ${where}: \`${command}\`.`,
  });
}
