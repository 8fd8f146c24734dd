import type { Runtime } from "../../../contract/context.ts";
import { MillraceError } from "../../../contract/errors.ts";
import { backOff, type RetryPolicy } from "../../../contract/retry.ts";
import type { IcebergCatalog, LoadedTable, TableCommit, TableIdentifier } from "../catalog/catalog.ts";
import { tableNameOf } from "../catalog/identifier.ts";
import { FileIo, type OpenStore } from "../file-io.ts";

/** What the functions of `millrace table` work with. */
export interface TableParts {
  readonly catalog: IcebergCatalog;
  readonly identifier: TableIdentifier;
  readonly openStore: OpenStore;
  readonly runtime: Pick<Runtime, "now" | "random" | "sleep">;
}

/** Loads the table. Error: `TABLE_NOT_FOUND`. */
export async function loadTable({ catalog, identifier }: TableParts): Promise<LoadedTable> {
  const loaded = await catalog.loadTable(identifier);
  if (loaded !== undefined) return loaded;
  throw new MillraceError(
    "TABLE_NOT_FOUND",
    `there is no table ${tableNameOf(identifier)} in the ${catalog.description}`,
    { hint: "Check the name, and --home if the catalog is in a home. `millrace run` creates the table." },
  );
}

/** Returns the files of a loaded table. */
export function filesOf(
  { openStore }: Pick<TableParts, "openStore">,
  { metadata, access }: LoadedTable,
): FileIo {
  return new FileIo(openStore, metadata.location, { access });
}

const CONFLICTS: RetryPolicy = { attempts: 10, firstDelay: 100, longestDelay: 5_000 };

/** A change as it is for a table that was just loaded. */
export interface PreparedChange<T> {
  /** Absent if there is nothing to commit: an earlier try landed, or another program was faster. */
  readonly commit?: TableCommit;
  readonly result: T;
}

/**
 * Commits a change. After a conflict or an answer that was lost, the table is loaded again, and
 * `prepare` decides anew. Errors: `COMMIT_CONFLICTS`, those of the catalog and of `prepare`.
 */
export async function commitChange<T>(
  parts: TableParts,
  prepare: (loaded: LoadedTable) => PreparedChange<T>,
): Promise<T> {
  const { catalog, identifier, runtime } = parts;
  let failure: MillraceError | undefined;
  for (let attempt = 1; attempt <= CONFLICTS.attempts; attempt++) {
    if (attempt > 1) await runtime.sleep(backOff(CONFLICTS, attempt - 1, () => runtime.random()));
    const loaded = await loadTable(parts);
    const { commit, result } = prepare(loaded);
    if (commit === undefined) return result;
    const answer = await catalog.commitTable(identifier, loaded, commit);
    if (answer.outcome === "committed") return result;
    failure = answer.outcome === "unknown" ? answer.cause : conflicts(identifier, answer.reason);
  }
  throw failure as MillraceError;
}

function conflicts(identifier: TableIdentifier, reason: string): MillraceError {
  const times = `each of ${CONFLICTS.attempts} tries`;
  return new MillraceError(
    "COMMIT_CONFLICTS",
    `other writers changed the table ${tableNameOf(identifier)} during ${times}: ${reason}`,
    {
      retryable: true,
      hint: "Nothing was changed. Run the same `millrace table` command again when fewer writers are at work.",
    },
  );
}
