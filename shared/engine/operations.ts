import type { Offset } from "../contract/offset.ts";
import { type AdoptChoice, type AdoptReport, adopt, previewAdoption } from "./adopt.ts";
import { type BackfillReport, type BackfillRequest, claimBackfill } from "./backfill/claim.ts";
import type { Owner } from "./ports/ledger.ts";
import type { Action } from "./ports/manual-operations.ts";
import type { Ports } from "./ports/runtime.ts";
import type { Sessions } from "./sessions/open-sessions.ts";
import { previewSkip, type SkipChoice, type SkipReport, skip } from "./skip.ts";
import { tryOffset } from "./try-offset.ts";

/** Who performs an operation. Without it, the operation only returns what it would do. */
interface Performed {
  readonly action: Action;
  /** Holds the pipeline's lease meanwhile. */
  readonly owner: Owner;
}

/**
 * A manual operation that needs the pipeline's code. It is JSON, so that it can be sent to the
 * function that runs it for a deployed pipeline.
 */
export type Operation =
  | (AdoptChoice & {
      readonly operation: "adopt";
      readonly perform?: Performed & { readonly shown: AdoptReport };
    })
  | (SkipChoice & { readonly operation: "skip"; readonly perform?: Performed })
  | { readonly operation: "tryOffset"; readonly offset: Offset }
  | (BackfillRequest & { readonly operation: "backfill" });

/** The report of each operation. */
export interface OperationReports {
  readonly adopt: AdoptReport;
  readonly skip: SkipReport;
  readonly tryOffset: TryOffsetReport;
  readonly backfill: BackfillReport;
}

export type OperationReport = OperationReports[keyof OperationReports];

/** The offset as the source's reader writes it. */
export interface TryOffsetReport {
  readonly offset: Offset;
}

/**
 * Performs an operation, or returns what it would do. Throws the errors of `adopt`, `skip`,
 * `tryOffset` and `claimBackfill`.
 */
export async function operate(
  sessions: Sessions,
  ports: Ports,
  operation: Operation,
  hasEnded: (owner: Owner) => Promise<boolean>,
): Promise<OperationReport> {
  if (operation.operation === "tryOffset") return { offset: await tryOffset(sessions, operation.offset) };
  if (operation.operation === "backfill")
    return await claimBackfill(sessions, ports, { ...operation, hasEnded });
  if (operation.operation === "adopt") {
    const { perform, ...choice } = operation;
    if (perform === undefined) return await previewAdoption(sessions, ports, choice);
    return await adopt(sessions, ports, { ...choice, ...perform, hasEnded });
  }
  const { perform, ...choice } = operation;
  if (perform === undefined) return await previewSkip(sessions, ports, choice);
  return await skip(sessions, ports, { ...choice, ...perform, hasEnded });
}
