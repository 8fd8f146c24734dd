import * as z from "zod";
import { MillraceError } from "../../../contract/errors.ts";
import { atOnce } from "../../kit/at-once.ts";
import type { LoadedTable, TableCommit } from "../catalog/catalog.ts";
import { type FileIo, storeLocation } from "../file-io.ts";
import type { Snapshot, TableMetadata, TableUpdate } from "../format/types.ts";
import { filesIn, manifestsOf } from "../read/live-files.ts";
import { ReferencedFiles } from "../sink/referenced-files.ts";
import { type Expired, expiredOf, type Retention } from "./retention.ts";
import { changeTable, filesOf, loadTable, type TableParts } from "./table-parts.ts";

/** Snapshots whose manifest lists are read at once. */
const LISTS_AT_ONCE = 8;
/** Files that are deleted in one request of S3. */
const DELETED_AT_ONCE = 1000;

/** The kinds of files that expire, in the order in which they are deleted. */
const KINDS = ["data", "deletes", "manifests", "manifestLists", "statistics"] as const;

const StatisticsFiles = z.array(
  z.looseObject({ "snapshot-id": z.union([z.int(), z.bigint()]), "statistics-path": z.string() }),
);

interface ExpiredFile {
  readonly kind: (typeof KINDS)[number];
  readonly location: string;
  /** Absent if no file of the table tells it, as for a manifest list. */
  readonly bytes?: number;
}

/** Files of expired snapshots that no other snapshot needs. */
export interface FileCounts extends Readonly<Record<(typeof KINDS)[number], number>> {
  /** Bytes of data files, delete files and manifests. */
  readonly bytes: number;
}

/** What `expire` would do. */
export interface ExpirePlan {
  readonly expired: Expired;
  readonly keptSnapshots: number;
  readonly counts: FileCounts;
  /** Manifest lists and manifests of expired snapshots that are gone already. */
  readonly missing: readonly string[];
  /** Deletes nothing unless it is called. */
  apply(): Promise<ExpireResult>;
}

export interface ExpireResult {
  readonly snapshots: readonly bigint[];
  readonly refs: readonly string[];
  readonly counts: FileCounts;
}

/**
 * Finds the snapshots that expire, and the files that only they need. Errors: `TABLE_NOT_FOUND`,
 * `NOT_SUPPORTED` if the table's property `gc.enabled` forbids it, `TABLE_FILE_MISSING` if a
 * snapshot that stays lacks a manifest.
 */
export async function planExpire(parts: TableParts, retention: Retention): Promise<ExpirePlan> {
  const loaded = await loadTable(parts);
  const { metadata } = loaded;
  checkGarbageCollection(metadata);
  const now = parts.runtime.now();
  const expired = expiredOf(metadata, retention, now);
  const io = filesOf(parts, loaded);
  const gone = new Set(expired.snapshots);
  const kept = metadata.snapshots.filter((snapshot) => !gone.has(snapshot));
  const { files, missing } = await candidates(io, expired.snapshots, kept);
  files.push(...statisticsOf(metadata, expired.snapshots));
  const paths = new Set(files.map(({ location }) => storeLocation(location)));
  const needed = new ReferencedFiles(io, (path) => paths.has(storeLocation(path)));
  if (files.length > 0) await needed.read({ snapshots: kept });
  const only = files.filter(({ location }) => !needed.has(location));
  return {
    expired,
    keptSnapshots: kept.length,
    counts: countsOf(only),
    missing,
    apply: async () => await apply(parts, { expired, retention, now, files: only, needed }),
  };
}

function checkGarbageCollection({ properties, location }: TableMetadata): void {
  if (properties["gc.enabled"] !== "false") return;
  throw new MillraceError(
    "NOT_SUPPORTED",
    "the table's property gc.enabled is false, so its files must stay",
    {
      where: { path: location },
      hint: "Another table may use the same files, as after Spark's `snapshot` or `migrate`. Set the property to true only if none does.",
    },
  );
}

/** Returns the files of expired snapshots, without manifests that a kept snapshot has, too. */
async function candidates(
  io: FileIo,
  expired: readonly Snapshot[],
  kept: readonly Snapshot[],
): Promise<{ readonly files: ExpiredFile[]; readonly missing: readonly string[] }> {
  const files = new Map<string, ExpiredFile>();
  const missing: string[] = [];
  if (expired.length === 0) return { files: [], missing };
  const keptManifests = new Set<string>();
  await atOnce(LISTS_AT_ONCE, kept, async (snapshot) => {
    for (const { manifestPath } of await manifestsOf(io, snapshot))
      keptManifests.add(storeLocation(manifestPath));
  });
  const add = (file: ExpiredFile) => files.set(storeLocation(file.location), file);
  await atOnce(LISTS_AT_ONCE, expired, async (snapshot) => {
    add({ kind: "manifestLists", location: snapshot["manifest-list"] });
    for (const manifest of (await unlessMissing(missing, () => manifestsOf(io, snapshot))) ?? []) {
      const place = storeLocation(manifest.manifestPath);
      if (keptManifests.has(place) || files.has(place)) continue;
      add({ kind: "manifests", location: manifest.manifestPath, bytes: manifest.manifestLength });
      for (const { file } of (await unlessMissing(missing, () => filesIn(io, [manifest]))) ?? []) {
        const kind = file.content === 0 ? "data" : "deletes";
        add({ kind, location: file.filePath, bytes: file.fileSizeInBytes });
      }
    }
  });
  return { files: [...files.values()], missing };
}

/** A statistics file belongs to one snapshot. The metadata types do not have them. */
function statisticsOf(metadata: TableMetadata, expired: readonly Snapshot[]): ExpiredFile[] {
  const ids = new Set(expired.map((snapshot) => String(snapshot["snapshot-id"])));
  const extra = metadata as unknown as Readonly<Record<string, unknown>>;
  return ["statistics", "partition-statistics"].flatMap((key) =>
    StatisticsFiles.parse(extra[key] ?? []).flatMap((file) =>
      ids.has(String(file["snapshot-id"]))
        ? [{ kind: "statistics", location: file["statistics-path"] } as const]
        : [],
    ),
  );
}

/** A file of an expired snapshot may be gone: an earlier expiry has deleted it. */
async function unlessMissing<T>(missing: string[], read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!MillraceError.is(error) || error.code !== "TABLE_FILE_MISSING") throw error;
    missing.push(error.where.path ?? error.message);
    return undefined;
  }
}

interface ToApply {
  readonly expired: Expired;
  readonly retention: Retention;
  /** The time of the plan, so that nothing expires that was not shown. */
  readonly now: number;
  readonly files: readonly ExpiredFile[];
  readonly needed: ReferencedFiles;
}

/**
 * Removes the snapshots from the table, and then deletes their files. A crash in between leaves
 * files that nothing names.
 */
async function apply(
  parts: TableParts,
  { expired, retention, now, files, needed }: ToApply,
): Promise<ExpireResult> {
  const shown = new Set(expired.snapshots.map((snapshot) => snapshot["snapshot-id"]));
  const shownRefs = new Set(expired.refs);
  await changeTable(parts, ({ metadata }) => {
    const still = expiredOf(metadata, retention, now);
    const ids = still.snapshots.map((snapshot) => snapshot["snapshot-id"]).filter((id) => shown.has(id));
    const refs = still.refs.filter((name) => shownRefs.has(name));
    const commit = ids.length + refs.length === 0 ? {} : { commit: commitOf(metadata, ids, refs) };
    return { ...commit, result: undefined };
  });
  const after = await loadTable(parts);
  return await deleteFiles(parts, after, { expired, files, needed });
}

function commitOf(metadata: TableMetadata, ids: readonly bigint[], refs: readonly string[]): TableCommit {
  const updates: TableUpdate[] = refs.map((name) => ({ action: "remove-snapshot-ref", "ref-name": name }));
  // Older catalogs take one id an update.
  for (const id of ids) updates.push({ action: "remove-snapshots", "snapshot-ids": [id] });
  return {
    requirements: [
      { type: "assert-table-uuid", uuid: metadata["table-uuid"] },
      // A branch or tag that was moved in the meantime may reach a snapshot that was to expire.
      ...Object.entries(metadata.refs).map(([ref, { "snapshot-id": id }]) => ({
        type: "assert-ref-snapshot-id" as const,
        ref,
        "snapshot-id": id,
      })),
    ],
    updates,
  };
}

async function deleteFiles(
  parts: TableParts,
  after: LoadedTable,
  { expired, files, needed }: Pick<ToApply, "expired" | "files" | "needed">,
): Promise<ExpireResult> {
  const { metadata } = after;
  const io = filesOf(parts, after);
  const left = new Set(metadata.snapshots.map((snapshot) => snapshot["snapshot-id"]));
  // Snapshots that came in the meantime, and those that were kept after all, need their files.
  if (files.length > 0) await needed.read(metadata);
  const unneeded = files.filter(({ location }) => !needed.has(location));
  for (const kind of KINDS) {
    const locations = unneeded.filter((file) => file.kind === kind).map(({ location }) => location);
    for (let i = 0; i < locations.length; i += DELETED_AT_ONCE)
      await io.delete(locations.slice(i, i + DELETED_AT_ONCE));
  }
  return {
    snapshots: expired.snapshots.map((snapshot) => snapshot["snapshot-id"]).filter((id) => !left.has(id)),
    refs: expired.refs.filter((name) => metadata.refs[name] === undefined),
    counts: countsOf(unneeded),
  };
}

function countsOf(files: readonly ExpiredFile[]): FileCounts {
  const counts = { data: 0, deletes: 0, manifests: 0, manifestLists: 0, statistics: 0, bytes: 0 };
  for (const { kind, bytes = 0 } of files) {
    counts[kind]++;
    counts.bytes += bytes;
  }
  return counts;
}
