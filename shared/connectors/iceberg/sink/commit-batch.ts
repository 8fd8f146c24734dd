import { MillraceError } from "../../../contract/errors.ts";
import type { RetryPolicy } from "../../../contract/retry.ts";
import { commitChange } from "../catalog/commit-change.ts";
import { hasBatch } from "./marker.ts";
import { CommitNames } from "./names.ts";
import { type BatchToCommit, NewSnapshotFiles } from "./new-snapshot.ts";
import { filesOf, type SinkParts, tableGone, withCatalog } from "./open-table.ts";
import { checkTable } from "./write-plan.ts";

/**
 * Other writers make conflicts. Each try loads the table again, so a try that waits long enough
 * meets a table at rest.
 */
const CONFLICTS: RetryPolicy = { attempts: 20, firstDelay: 100, longestDelay: 5_000 };

/**
 * Commits a batch in one request: its files, its marker, and the columns that are new. Each try
 * first looks whether the batch has landed, so an answer that was lost is no reason to commit
 * twice. Errors: `LEDGER_BEHIND_SINK`, `SINK_BEHIND_LEDGER`, `TABLE_NOT_FOUND`, `TABLE_REPLACED`,
 * `TABLE_CHANGED`, `COMMIT_CONFLICTS`, `CATALOG_FAILED`, `CATALOG_DENIED`.
 */
export async function commitBatch(parts: SinkParts, toCommit: BatchToCommit): Promise<void> {
  const { options, runtime } = parts;
  const { batch, plan } = toCommit;
  let files: NewSnapshotFiles | undefined;
  await withCatalog(parts, async (open) => {
    const settings = {
      ...open,
      runtime,
      policy: CONFLICTS,
      missing: () => tableGone(options.table),
      conflicts: (reason: string) => conflicts(options.table, reason),
    };
    await commitChange(settings, async (loaded) => {
      const { metadata } = loaded;
      if (plan !== undefined) checkTable(parts, metadata, plan);
      if (hasBatch(metadata, batch)) return { result: undefined };
      files ??= new NewSnapshotFiles(toCommit, new CommitNames(metadata.location, batch, runtime.newId()));
      const commit = await files.commitOn(metadata, filesOf(parts, loaded), runtime.now());
      return { result: undefined, commit };
    });
  });
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
