import type { ErrorCode } from "../../contract/error-codes.ts";
import { MillraceError } from "../../contract/errors.ts";
import { sameOffset } from "../../contract/offset.ts";
import type { Fence, Head } from "./ledger.ts";
import type { Rewind } from "./manual-operations.ts";

/** True if the run that has this fence still holds the pipeline, in this life of it. */
export function isHeldBy({ incarnation, epoch }: Fence, head: Head | undefined): boolean {
  return head?.incarnation === incarnation && head.epoch === epoch;
}

/**
 * The error of a step whose run no longer holds the pipeline, because another run has acquired it
 * since.
 */
export function fenced(fence: Fence, head: Head | undefined): MillraceError {
  const holder = head?.lease?.owner.description ?? "another run";
  if (head?.incarnation !== fence.incarnation) {
    const found = head === undefined ? "has no such pipeline any more" : "has another life of it";
    return new MillraceError(
      "FENCED",
      `this run began pipeline "${fence.pipeline}" (incarnation ${fence.incarnation.slice(0, 8)}), but the ledger ${found}: it was replaced, forgotten or adopted`,
      {
        where: { pipeline: fence.pipeline },
        hint: "This run has ended and committed nothing more. See `millrace status`, then start it again.",
      },
    );
  }
  return new MillraceError(
    "FENCED",
    `this run (epoch ${fence.epoch}) lost pipeline "${fence.pipeline}" to ${holder} (epoch ${head.epoch})`,
    {
      where: { pipeline: fence.pipeline },
      hint: "Nothing is lost: the other run goes on with the batch. Start again when it has ended.",
    },
  );
}

/** Returns the error if the head does not allow the rewind, otherwise `undefined`. */
export function findRewindProblem(fence: Fence, { from }: Rewind, head: Head): MillraceError | undefined {
  const refused = (code: ErrorCode, problem: string, hint: string) =>
    new MillraceError(code, `pipeline "${fence.pipeline}" cannot be rewound: ${problem}`, {
      where: { pipeline: fence.pipeline },
      hint,
    });
  if (!isHeldBy(fence, head)) return fenced(fence, head);
  if (head.openBatchId !== undefined) {
    const hint = `Let it end first: \`millrace run\`, or \`millrace replay ${fence.pipeline}\`. If it cannot end: \`millrace skip ${fence.pipeline}\`.`;
    return refused("BATCH_OPEN", `batch ${head.openBatchId} is open`, hint);
  }
  if (head.offset === undefined || !sameOffset(head.offset, from)) {
    const hint = "Nothing was changed. See `millrace status` where it is, then rewind from there.";
    return refused("LEDGER_CONFLICT", "its offset is not the one that was shown", hint);
  }
  return undefined;
}

/** The error of a step that is not allowed in the current state of the batch. */
export function conflict(pipeline: string, batchId: number, problem: string): MillraceError {
  return new MillraceError("LEDGER_CONFLICT", `batch ${batchId}: ${problem}`, {
    where: { pipeline, batchId },
    hint: "Nothing was changed. Run the pipeline again; if it stays so, report it with `millrace status --json`.",
  });
}

/** The error of an operation on a pipeline that the ledger does not know. */
export function unknownPipeline(pipeline: string): MillraceError {
  return new MillraceError("PIPELINE_NOT_FOUND", `the ledger has no pipeline "${pipeline}"`, {
    where: { pipeline },
    hint: "It has not run yet, or its name is another: see `millrace status`.",
  });
}

/** The error of an `unlock` if another run has acquired the lease since the person looked at it. */
export function holderChanged(fence: Fence, head: Head): MillraceError {
  return new MillraceError(
    "LEDGER_CONFLICT",
    `the lease of pipeline "${fence.pipeline}" is not the one shown: it is at epoch ${head.epoch} by now, not ${fence.epoch}`,
    {
      where: { pipeline: fence.pipeline },
      hint: "Nothing was changed. Look at `millrace status` who works on it now.",
    },
  );
}

/** The error if a sink has more items than the transaction of `finish` can write. */
export function tooManyItems(
  { pipeline }: Fence,
  batchId: number,
  count: number,
  most: number,
): MillraceError {
  return new MillraceError(
    "TRANSACTION_REFUSED",
    `the ledger's transaction takes ${most} items of the sink, not ${count}`,
    {
      where: { pipeline, batchId },
      hint: "Nothing was written. transactionItems() must return no more than it is asked for, or undefined.",
    },
  );
}
