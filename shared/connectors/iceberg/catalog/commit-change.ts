import type { Runtime } from "../../../contract/context.ts";
import type { MillraceError } from "../../../contract/errors.ts";
import { backOff, type RetryPolicy } from "../../../contract/retry.ts";
import type { Awaitable } from "../../../contract/stream-reader.ts";
import type { IcebergCatalog, LoadedTable, TableCommit, TableIdentifier } from "./catalog.ts";

/** How a change is committed. */
export interface ChangeOptions {
  readonly catalog: IcebergCatalog;
  readonly identifier: TableIdentifier;
  readonly runtime: Pick<Runtime, "random" | "sleep">;
  /** How often a conflict, or an answer that was lost, leads to another try. */
  readonly policy: RetryPolicy;
  /** Returns the error of a table that is not there. */
  readonly missing: () => MillraceError;
  /** Returns the error of the last conflict. */
  readonly conflicts: (reason: string) => MillraceError;
}

/** A change as it is for a table that was just loaded. */
export interface PreparedChange<T> {
  /** Absent if there is nothing to commit: an earlier try landed, or another program was faster. */
  readonly commit?: TableCommit;
  readonly result: T;
}

/**
 * Commits a change. Each try loads the table and lets `prepare` decide anew, so an answer that was
 * lost is no reason to commit twice. Errors: those of the options, of the catalog and of `prepare`.
 */
export async function commitChange<T>(
  { catalog, identifier, runtime, policy, missing, conflicts }: ChangeOptions,
  prepare: (loaded: LoadedTable) => Awaitable<PreparedChange<T>>,
): Promise<T> {
  let failure: MillraceError | undefined;
  for (let attempt = 1; attempt <= policy.attempts; attempt++) {
    if (attempt > 1) await runtime.sleep(backOff(policy, attempt - 1, () => runtime.random()));
    const loaded = await catalog.loadTable(identifier);
    if (loaded === undefined) throw missing();
    const { commit, result } = await prepare(loaded);
    if (commit === undefined) return result;
    const answer = await catalog.commitTable(identifier, loaded, commit);
    if (answer.outcome === "committed") return result;
    failure = answer.outcome === "unknown" ? answer.cause : conflicts(answer.reason);
  }
  throw failure as MillraceError;
}
