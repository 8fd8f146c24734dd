import { MillraceError } from "../../../contract/errors.ts";
import type { DataFile, ManifestEntry, ManifestFile, TableMetadata } from "../format/types.ts";
import type { Manifests, NewSnapshot } from "./manifests.ts";
import { asExisting, isLive } from "./merge-manifests.ts";

/** Which files a commit removes: none, all, or those of the partitions of its own files. */
export type Replaces = "none" | "all" | "partitions";

/** The manifests of the parent that are left, and the files that were removed. */
export interface Remaining {
  readonly manifests: readonly ManifestFile[];
  readonly removed: readonly DataFile[];
}

/** Removes the files that a commit replaces. Error: `PARTITIONING_CHANGED`. */
export async function removeReplaced(
  metadata: TableMetadata,
  parents: readonly ManifestFile[],
  added: readonly DataFile[],
  replaces: Replaces,
  manifests: Manifests,
  snapshot: NewSnapshot,
): Promise<Remaining> {
  const replacesNone = replaces === "none" || (replaces === "partitions" && added.length === 0);
  if (replacesNone) return { manifests: parents, removed: [] };
  const specId = metadata["default-spec-id"];
  const keys = new Set(added.map(partitionKey));
  const isReplaced = (file: ManifestFile, { dataFile }: ManifestEntry) => {
    if (replaces === "all") return true;
    if (file.partitionSpecId === specId) return keys.has(partitionKey(dataFile));
    throw olderPartitioning(metadata, file.partitionSpecId);
  };
  const left: ManifestFile[] = [];
  const removed: DataFile[] = [];
  for (const file of parents) {
    const entries = (await manifests.read(file)).filter(isLive);
    const gone = entries.filter((entry) => isReplaced(file, entry));
    if (gone.length === 0) {
      left.push(file);
      continue;
    }
    removed.push(...gone.map(({ dataFile }) => dataFile));
    // A manifest without entries that stay need not be written again.
    if (gone.length === entries.length && !manifests.canWrite(file.partitionSpecId)) continue;
    const goneSet = new Set(gone);
    const kept = entries.map(
      (entry): ManifestEntry =>
        goneSet.has(entry) ? { ...entry, status: 2, snapshotId: snapshot.id } : asExisting(entry),
    );
    left.push(await manifests.write(kept, { specId: file.partitionSpecId, content: file.content }, snapshot));
  }
  return { manifests: left, removed };
}

/** Two files are in one partition if this is equal. */
function partitionKey({ partition }: DataFile): string {
  return JSON.stringify(
    partition.map((value) => {
      if (value === null) return null;
      if (value instanceof Uint8Array) return [Buffer.from(value).toString("hex")];
      // NaN and -0 are values of their own, which JSON does not have.
      return [typeof value === "number" ? (Object.is(value, -0) ? "-0" : String(value)) : String(value)];
    }),
  );
}

function olderPartitioning(metadata: TableMetadata, specId: number): MillraceError {
  return new MillraceError(
    "PARTITIONING_CHANGED",
    `the table has files with an older partitioning (spec ${specId}, the current one is ${metadata["default-spec-id"]}), so it is unclear which rows the new ones replace`,
    {
      where: { path: metadata.location },
      hint: "Nothing was committed. Rewrite the old files once with the current partitioning, for example by Spark's rewrite_data_files, or replace all rows with .truncate(). Then `millrace run` again, or leave the batch out: `millrace skip`.",
    },
  );
}
