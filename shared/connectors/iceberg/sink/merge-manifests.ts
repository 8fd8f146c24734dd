import type { ManifestEntry, ManifestFile, TableMetadata } from "../format/types.ts";
import type { Manifests, NewSnapshot } from "./manifests.ts";

const DEFAULT_MIN_COUNT = 100;
const DEFAULT_TARGET_BYTES = 8 * 1024 * 1024;

/** Returns the number in a table property, or `otherwise` if it is absent or no number. */
function numberOf({ properties }: TableMetadata, name: string, otherwise: number): number {
  const text = properties[name];
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : otherwise;
}

/**
 * Merges small manifests if a partition spec has many of them, so that readers open few files and
 * the manifest list stays short. Follows the table properties `commit.manifest-merge.enabled`,
 * `commit.manifest.min-count-to-merge` and `commit.manifest.target-size-bytes`. `files` are the
 * manifests of the parent snapshot; the result replaces them.
 */
export async function mergeManifests(
  metadata: TableMetadata,
  files: readonly ManifestFile[],
  manifests: Manifests,
  snapshot: NewSnapshot,
): Promise<readonly ManifestFile[]> {
  // As in Java, any other text than "true" switches it off.
  if ((metadata.properties["commit.manifest-merge.enabled"] ?? "true").toLowerCase() !== "true") return files;
  const minCount = numberOf(metadata, "commit.manifest.min-count-to-merge", DEFAULT_MIN_COUNT);
  const targetBytes = numberOf(metadata, "commit.manifest.target-size-bytes", DEFAULT_TARGET_BYTES);
  const result: ManifestFile[] = [];
  for (const group of groupsOf(files)) {
    const canWrite = group.every(({ partitionSpecId }) => manifests.canWrite(partitionSpecId));
    const small = group.filter(({ manifestLength }) => manifestLength < targetBytes);
    if (small.length < minCount || !canWrite) {
      result.push(...group);
      continue;
    }
    result.push(...group.filter((file) => !small.includes(file)));
    for (const bin of binsOf(small, targetBytes)) result.push(await merged(bin, manifests, snapshot));
  }
  return result;
}

/** Manifests of one partition spec and one kind of content, in their order. */
function groupsOf(files: readonly ManifestFile[]): ManifestFile[][] {
  const groups = new Map<string, ManifestFile[]>();
  for (const file of files) {
    const key = `${file.partitionSpecId} ${file.content}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [file]);
    else group.push(file);
  }
  return [...groups.values()];
}

function binsOf(files: readonly ManifestFile[], targetBytes: number): ManifestFile[][] {
  const bins: ManifestFile[][] = [];
  let room = 0;
  for (const file of files) {
    if (bins.length === 0 || file.manifestLength > room) {
      bins.push([]);
      room = targetBytes;
    }
    (bins.at(-1) as ManifestFile[]).push(file);
    room -= file.manifestLength;
  }
  return bins;
}

async function merged(
  bin: readonly ManifestFile[],
  manifests: Manifests,
  snapshot: NewSnapshot,
): Promise<ManifestFile> {
  const [first] = bin as readonly [ManifestFile, ...ManifestFile[]];
  if (bin.length === 1) return first;
  const entries: ManifestEntry[] = [];
  for (const file of bin) entries.push(...(await manifests.read(file)).filter(isLive).map(asExisting));
  return await manifests.write(entries, { specId: first.partitionSpecId, content: first.content }, snapshot);
}

/** True if the file is in the snapshot. Entries of deleted files are for that one snapshot only. */
export function isLive({ status }: ManifestEntry): boolean {
  return status !== 2;
}

/** The entry keeps the snapshot and the sequence numbers of the commit that added the file. */
export function asExisting(entry: ManifestEntry): ManifestEntry {
  return { ...entry, status: 0 };
}
