import type { BadRowPolicy, RefusedRowSink } from "../../contract/bad-rows.ts";
import type { BatchContext } from "../../contract/context.ts";
import type { Pipeline } from "../../contract/pipeline.ts";
import { type RetryPolicy, retry } from "../../contract/retry.ts";
import type { SupportsRefusedRows } from "../../contract/stream-writer.ts";
import { batchLocation } from "../messages.ts";
import type { Batch } from "../ports/ledger.ts";
import type { Ports } from "../ports/runtime.ts";
import type { TaskBadRows } from "../ports/tasks.ts";
import { STEP_RETRY } from "../retry.ts";
import type { CommitCall } from "../sink-commit.ts";
import { rowsOfAll } from "./batch-bad-rows.ts";
import { quarantineFolder } from "./files.ts";
import { SinkBadRows } from "./sink-rows.ts";
import { BadRowCollector } from "./task-bad-rows.ts";

const ASK_RETRY: RetryPolicy = { ...STEP_RETRY, attempts: 5 };

/** Returns what happens to the bad rows of a batch; `undefined` if one of them fails it. */
export function policyOf(
  { badRows }: Pick<Pipeline, "badRows">,
  isRetry: boolean | undefined,
): BadRowPolicy | undefined {
  // A row that was kept is not lost because it fails again, and does not hold up the pipeline.
  if (isRetry === true) return { policy: "quarantine" };
  return badRows?.policy === "fail" ? undefined : badRows;
}

/**
 * Returns what a sink needs that can leave rows out while it commits. `bad` are those that the
 * tasks have left out.
 */
export function takerOfRefused(
  pipeline: Pipeline,
  { store, runtime }: Pick<Ports, "store" | "runtime">,
  batch: Batch,
  asked: Partial<SupportsRefusedRows>,
  bad: readonly TaskBadRows[],
): Pick<BatchContext, "newRefusedRows"> {
  const policy = policyOf(pipeline, batch.isRetry);
  if (policy === undefined || asked.refusedRows === undefined) return {};
  const newRefusedRows = (): RefusedRowSink => {
    const prefix = `${quarantineFolder(batch.batchId)}refused-${batch.attempt}-${runtime.newId()}`;
    const options = { store, prefix, where: batchLocation(batch), rowsBefore: rowsOfAll(bad) };
    const collector = new BadRowCollector(policy, options);
    const marked = new SinkBadRows(collector, pipeline);
    return {
      add: (error, content) => marked.add(error, content),
      finish: () => collector.finish(),
    };
  };
  return { newRefusedRows };
}

/**
 * Asks the sink which rows it refused of a batch that it has. `isOwnCommit` tells that this process
 * has just committed it; another one may have had another choice for bad rows.
 */
export async function refusedBySink(
  { runtime }: Pick<Ports, "runtime">,
  { batch, write, context, watch }: CommitCall,
  isOwnCommit: boolean,
): Promise<readonly TaskBadRows[]> {
  const asked = write.asked as Partial<SupportsRefusedRows>;
  if (asked.refusedRows === undefined) return [];
  if (isOwnCommit && context.newRefusedRows === undefined) return [];
  const refused = await retry(runtime, ASK_RETRY, () =>
    watch.callSink("refusedRows()", batchLocation(batch), () => asked.refusedRows?.(batch.batchId, context)),
  );
  return refused === undefined ? [] : [refused];
}
