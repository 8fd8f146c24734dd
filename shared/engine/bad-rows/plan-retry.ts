import { MillraceError } from "../../contract/errors.ts";
import type { Pipeline } from "../../contract/pipeline.ts";
import type { Fence, Head } from "../ports/ledger.ts";
import type { Ports } from "../ports/runtime.ts";
import { type NextBatch, recordBatch } from "../record-batch.ts";
import type { PlanOptions } from "../resume.ts";
import type { Sessions } from "../sessions/open-sessions.ts";
import { checkSinkPosition } from "../sink-position.ts";
import { checkExchanges } from "../stage.ts";
import { retryPartitions } from "./retry-partitions.ts";

/**
 * Plans a batch that sends the quarantined rows again. It starts and ends at the current offset.
 * Throws `RETRY_NOT_SUPPORTED` and `QUARANTINE_FILE_MISSING`.
 */
export async function planRetry(
  sessions: Sessions,
  ports: Ports,
  fence: Fence,
  head: Head,
  { maxTasks, code }: PlanOptions,
): Promise<NextBatch> {
  checkRetry(sessions.pipeline);
  const { offset: start } = head;
  const partitions = await retryPartitions(ports, head.pipeline);
  if (start === undefined || partitions.length === 0) return { durationMs: {} };
  const schemas = await sessions.source.currentSchemas();
  await checkSinkPosition(sessions, head);
  const plan = { planId: ports.runtime.newId(), plannedAt: ports.runtime.now() };
  const request = { ...plan, incarnation: head.incarnation, isPlanning: true };
  const planned = await sessions.sink.planWrite(schemas.schema, request, partitions.length);
  if (planned === undefined) return { targetExists: true, durationMs: {} };
  checkExchanges(planned, maxTasks, { pipeline: head.pipeline });
  const latest = { end: start };
  const draft = { ...plan, planned, schemas, partitions, start, latest, reported: {}, code, isRetry: true };
  return { batch: await recordBatch(ports, fence, head, draft), durationMs: {} };
}

/** A batch that replaces the target would leave only the rows of the retry. */
function checkRetry({ name, saveMode, outputs }: Pipeline): void {
  if (outputs !== "complete" && (saveMode === undefined || saveMode === "append")) return;
  throw new MillraceError(
    "RETRY_NOT_SUPPORTED",
    `pipeline "${name}" writes all its rows anew in each run, so its quarantined rows are not sent again alone`,
    { where: { pipeline: name }, hint: "Run it again after the fix: `millrace run PIPELINE.ts`." },
  );
}
