import type { Runtime } from "../../../contract/context.ts";
import { MillraceError } from "../../../contract/errors.ts";
import type { RetryPolicy } from "../../../contract/retry.ts";
import type { IcebergCatalog, LoadedTable, TableIdentifier } from "../catalog/catalog.ts";
import { commitChange, type PreparedChange } from "../catalog/commit-change.ts";
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
export async function loadTable(parts: TableParts): Promise<LoadedTable> {
  const loaded = await parts.catalog.loadTable(parts.identifier);
  if (loaded === undefined) throw missing(parts);
  return loaded;
}

function missing({ catalog, identifier }: TableParts): MillraceError {
  return new MillraceError(
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

/** Commits a change of `millrace table`. Errors: `TABLE_NOT_FOUND`, `COMMIT_CONFLICTS`. */
export async function changeTable<T>(
  parts: TableParts,
  prepare: (loaded: LoadedTable) => PreparedChange<T>,
): Promise<T> {
  const options = {
    ...parts,
    policy: CONFLICTS,
    missing: () => missing(parts),
    conflicts: (reason: string) => conflicts(parts.identifier, reason),
  };
  return await commitChange(options, prepare);
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
