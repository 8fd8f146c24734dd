import { MillraceError } from "../../../contract/errors.ts";
import { atOnce } from "../../kit/at-once.ts";
import type { FileIo } from "../file-io.ts";
import { decodeManifest } from "../format/manifest.ts";
import { decodeManifestList } from "../format/manifest-list.ts";
import type { DataFile, Long, ManifestFile, Snapshot, TableMetadata } from "../format/types.ts";

/** How many manifests are read at once. */
const MANIFESTS_AT_ONCE = 8;

/** A file that belongs to a snapshot. */
export interface LiveFile {
  readonly file: DataFile;
  readonly specId: number;
  readonly sequenceNumber: Long;
}

/** The files of a snapshot. */
export interface LiveFiles {
  readonly data: readonly LiveFile[];
  readonly deletes: readonly LiveFile[];
}

/** Returns a snapshot of the table. Error: `SNAPSHOT_NOT_FOUND`. */
export function snapshotOf(metadata: TableMetadata, id: bigint): Snapshot {
  const found = metadata.snapshots.find((snapshot) => snapshot["snapshot-id"] === id);
  if (found !== undefined) return found;
  throw new MillraceError("SNAPSHOT_NOT_FOUND", `the table has no snapshot ${id}`, {
    where: { path: metadata.location },
    hint: "It may have expired. `millrace table snapshots` lists those that are left.",
  });
}

/** Returns the manifests of a snapshot, from its manifest list. */
export async function manifestsOf(io: FileIo, snapshot: Snapshot): Promise<readonly ManifestFile[]> {
  const location = snapshot["manifest-list"];
  if (location === undefined) {
    throw new MillraceError("TABLE_NOT_READABLE", "a snapshot of format version 1 has no manifest list", {
      hint: "Rewrite the table's manifests with Spark's `rewrite_manifests`, then expire the old snapshots.",
    });
  }
  return decodeManifestList(await io.read(location), location);
}

/**
 * Returns the files that the manifests list as added or existing, in the order of the manifests.
 */
export async function filesIn(io: FileIo, manifests: readonly ManifestFile[]): Promise<readonly LiveFile[]> {
  const found: LiveFile[][] = manifests.map(() => []);
  await atOnce(MANIFESTS_AT_ONCE, manifests.entries(), async ([i, manifest]) => {
    const entries = decodeManifest(await io.read(manifest.manifestPath), manifest);
    found[i] = entries
      .filter(({ status }) => status !== 2)
      .map(({ dataFile, sequenceNumber }) => ({
        file: dataFile,
        specId: manifest.partitionSpecId,
        sequenceNumber: sequenceNumber ?? manifest.sequenceNumber,
      }));
  });
  return found.flat();
}

/** Returns the data files and delete files of a snapshot. */
export async function liveFiles(io: FileIo, snapshot: Snapshot): Promise<LiveFiles> {
  const manifests = await manifestsOf(io, snapshot);
  const kind = (content: 0 | 1) =>
    filesIn(
      io,
      manifests.filter((manifest) => manifest.content === content),
    );
  return { data: await kind(0), deletes: await kind(1) };
}
