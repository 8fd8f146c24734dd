import type { Snapshot, TableMetadata } from "../format/types.ts";

/** A snapshot as `millrace table` shows it. */
export interface SnapshotInfo {
  readonly id: bigint;
  readonly parentId?: bigint;
  /** Epoch milliseconds. */
  readonly committedAt: number;
  readonly operation: string;
  readonly sequenceNumber: number | bigint;
  readonly schemaId?: number;
  readonly manifestList: string;
  /** True if the snapshot is in the history of the current one. */
  readonly isInCurrent: boolean;
  /** Names of branches and tags whose newest snapshot it is. */
  readonly refs: readonly string[];
  /** The batch that made it, if Millrace did. */
  readonly batch?: { readonly pipeline: string; readonly batchId: number };
  /** The program that made it, as far as the summary tells. */
  readonly engine?: string;
  readonly addedRows?: number;
  readonly deletedRows?: number;
  readonly totalRows?: number;
  readonly summary: Readonly<Record<string, string>>;
}

/** Returns all snapshots that the table has, the oldest first. */
export function snapshotsOf(metadata: TableMetadata): readonly SnapshotInfo[] {
  const current = new Set(ancestorIds(metadata, metadata["current-snapshot-id"]));
  return metadata.snapshots
    .map((snapshot) => infoOf(snapshot, metadata, current))
    .sort((a, b) => Number(a.sequenceNumber) - Number(b.sequenceNumber) || a.committedAt - b.committedAt);
}

/** A time at which a snapshot became the current one. */
export interface HistoryEntry {
  readonly madeCurrentAt: number;
  readonly id: bigint;
  /** Absent if the snapshot has expired. */
  readonly snapshot?: SnapshotInfo;
}

/**
 * Returns which snapshots were current, the oldest first. After a rollback a snapshot is there
 * twice.
 */
export function historyOf(metadata: TableMetadata): readonly HistoryEntry[] {
  const known = new Map(snapshotsOf(metadata).map((info) => [info.id, info]));
  return metadata["snapshot-log"].map((entry) => {
    const id = entry["snapshot-id"];
    const snapshot = known.get(id);
    return { id, madeCurrentAt: entry["timestamp-ms"], ...(snapshot === undefined ? {} : { snapshot }) };
  });
}

/**
 * Returns the ids of a snapshot and those before it, the newest first. It ends where a snapshot has
 * expired.
 */
export function ancestorIds(metadata: TableMetadata, id: bigint | undefined): readonly bigint[] {
  const byId = new Map(metadata.snapshots.map((snapshot) => [snapshot["snapshot-id"], snapshot]));
  const ids: bigint[] = [];
  const seen = new Set<bigint>();
  for (let next = id; next !== undefined && !seen.has(next); next = byId.get(next)?.["parent-snapshot-id"]) {
    if (!byId.has(next)) break;
    seen.add(next);
    ids.push(next);
  }
  return ids;
}

function infoOf(snapshot: Snapshot, { refs }: TableMetadata, current: ReadonlySet<bigint>): SnapshotInfo {
  const { summary } = snapshot;
  const id = snapshot["snapshot-id"];
  const parentId = snapshot["parent-snapshot-id"];
  const schemaId = snapshot["schema-id"];
  const batch = batchOf(summary);
  const engine = engineOf(summary);
  return {
    id,
    ...(parentId === undefined ? {} : { parentId }),
    committedAt: snapshot["timestamp-ms"],
    operation: summary["operation"] ?? "unknown",
    sequenceNumber: snapshot["sequence-number"],
    ...(schemaId === undefined ? {} : { schemaId }),
    manifestList: snapshot["manifest-list"],
    isInCurrent: current.has(id),
    refs: Object.keys(refs).filter((name) => refs[name]?.["snapshot-id"] === id),
    ...(batch === undefined ? {} : { batch }),
    ...(engine === undefined ? {} : { engine }),
    ...count(summary, "added-records", "addedRows"),
    ...count(summary, "deleted-records", "deletedRows"),
    ...count(summary, "total-records", "totalRows"),
    summary,
  };
}

function count<K extends string>(
  summary: Snapshot["summary"],
  key: string,
  name: K,
): { [key in K]?: number } {
  const value = Number(summary[key] ?? Number.NaN);
  return Number.isNaN(value) ? {} : ({ [name]: value } as { [key in K]: number });
}

function batchOf(summary: Snapshot["summary"]): SnapshotInfo["batch"] | undefined {
  const [pipeline, batchId] = [summary["millrace.pipeline"], summary["millrace.batch-id"]];
  return pipeline === undefined || batchId === undefined ? undefined : { pipeline, batchId: Number(batchId) };
}

/** Spark and Flink name themselves; Iceberg's Java library leaves its version. */
function engineOf(summary: Snapshot["summary"]): string | undefined {
  const name = summary["engine-name"];
  const version = summary["engine-version"];
  if (name !== undefined) return version === undefined ? name : `${name} ${version}`;
  const library = summary["iceberg-version"];
  return library === undefined ? undefined : library.replace(/ \(commit.*\)$/, "");
}
