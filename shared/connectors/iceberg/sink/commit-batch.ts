import { isCommitted } from "../../../contract/committed-batch.ts";
import type { BatchContext } from "../../../contract/context.ts";
import { MillraceError } from "../../../contract/errors.ts";
import { backOff, type RetryPolicy } from "../../../contract/retry.ts";
import type { LoadedTable, TableCommit } from "../catalog/catalog.ts";
import type { DataFile, TableMetadata } from "../format/types.ts";
import { newestBatchOf, snapshotIdOf, snapshotWith } from "./marker.ts";
import { CommitNames } from "./names.ts";
import { NewSnapshotFiles } from "./new-snapshot.ts";
import { filesOf, type OpenCatalog, type SinkParts, tableGone, withCatalog } from "./open-table.ts";
import type { Replaces } from "./replace-files.ts";
import { checkTable, type WritePlan } from "./write-plan.ts";

/**
 * Other writers make conflicts. Each try loads the table again, so a try that waits long enough
 * meets a table at rest.
 */
const CONFLICTS: RetryPolicy = { attempts: 20, firstDelay: 100, longestDelay: 5_000 };

/** A batch to commit. */
export interface BatchToCommit {
  readonly batch: BatchContext;
  /** Absent if no plan was recorded: the batch is skipped by hand. */
  readonly plan: WritePlan | undefined;
  readonly added: readonly DataFile[];
  readonly replaces: Replaces;
}

/**
 * Commits a batch in one request: its files, its marker, and the columns that are new. Each try
 * first looks whether the batch has landed, so an answer that was lost is no reason to commit
 * twice. Errors: `LEDGER_BEHIND_SINK`, `SINK_BEHIND_LEDGER`, `TABLE_NOT_FOUND`, `TABLE_REPLACED`,
 * `TABLE_CHANGED`, `COMMIT_CONFLICTS`, `CATALOG_FAILED`, `CATALOG_DENIED`.
 */
export async function commitBatch(parts: SinkParts, toCommit: BatchToCommit): Promise<void> {
  await withCatalog(parts, (open) => commitWith(open, parts, toCommit));
}

async function commitWith(open: OpenCatalog, parts: SinkParts, toCommit: BatchToCommit): Promise<void> {
  const { catalog, identifier } = open;
  const { runtime } = parts;
  let files: NewSnapshotFiles | undefined;
  let failure: MillraceError | undefined;
  for (let attempt = 1; attempt <= CONFLICTS.attempts; attempt++) {
    if (attempt > 1) await runtime.sleep(backOff(CONFLICTS, attempt - 1, () => runtime.random()));
    const loaded = await catalog.loadTable(identifier);
    if (loaded === undefined) throw tableGone(parts.options.table);
    if (hasLanded(loaded.metadata, toCommit, parts)) return;
    files ??= new NewSnapshotFiles(toCommit, namesOf(loaded, toCommit.batch, runtime.newId()));
    const commit: TableCommit = await files.commitOn(loaded.metadata, filesOf(parts, loaded), runtime.now());
    const result = await catalog.commitTable(identifier, loaded, commit);
    if (result.outcome === "committed") return;
    failure = result.outcome === "unknown" ? result.cause : conflicts(parts.options.table, result.reason);
  }
  throw failure as MillraceError;
}

function namesOf({ metadata }: LoadedTable, batch: BatchContext, id: string): CommitNames {
  return new CommitNames(metadata.location, batch, id);
}

/**
 * True if the table has the batch. Throws if the table is not the one of the plan or the ledger.
 */
function hasLanded(metadata: TableMetadata, { batch, plan }: BatchToCommit, parts: SinkParts): boolean {
  if (plan !== undefined) checkTable(parts, metadata, plan);
  return (
    isCommitted(batch, newestBatchOf(metadata, batch.pipeline)) ||
    snapshotWith(metadata, snapshotIdOf(metadata["table-uuid"], batch)) !== undefined
  );
}

function conflicts(table: string, reason: string): MillraceError {
  return new MillraceError(
    "COMMIT_CONFLICTS",
    `other writers changed the table ${table} during each of ${CONFLICTS.attempts} tries to commit: ${reason}`,
    {
      retryable: true,
      hint: "The batch stays open, and the next `millrace run` tries again. Let fewer writers commit to the table at once.",
    },
  );
}
