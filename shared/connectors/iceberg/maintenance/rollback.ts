import { MillraceError } from "../../../contract/errors.ts";
import type { TableMetadata } from "../format/types.ts";
import { ancestorIds, type SnapshotInfo, snapshotsOf } from "./snapshots.ts";
import { changeTable, loadTable, type TableParts } from "./table-parts.ts";

/** The snapshot to go back to: by its id, or the newest one of a time in epoch milliseconds. */
export type RollbackTarget = { readonly snapshotId: bigint } | { readonly timestamp: number };

/** What `rollback` would do. */
export interface RollbackPlan {
  readonly from: SnapshotInfo;
  readonly to: SnapshotInfo;
  /** Snapshots whose changes readers will no longer see, the newest first. */
  readonly hidden: readonly SnapshotInfo[];
  /** Snapshots whose changes readers will see again, the newest first. */
  readonly shown: readonly SnapshotInfo[];
  /** Changes nothing unless it is called. */
  apply(): Promise<void>;
}

/** Errors: `TABLE_NOT_FOUND`, `SNAPSHOT_NOT_FOUND`. */
export async function planRollback(parts: TableParts, target: RollbackTarget): Promise<RollbackPlan> {
  const { metadata } = await loadTable(parts);
  const infos = new Map(snapshotsOf(metadata).map((info) => [info.id, info]));
  const currentId = metadata["current-snapshot-id"];
  const from = currentId === undefined ? undefined : infos.get(currentId);
  if (from === undefined)
    throw notFound("the table has no snapshot yet, so there is none to go back to", metadata);
  const to = targetOf(metadata, infos, target);
  const [before, after] = [ancestorIds(metadata, from.id), ancestorIds(metadata, to.id)];
  const infosOf = (ids: readonly bigint[], without: readonly bigint[]) =>
    ids.filter((id) => !without.includes(id)).flatMap((id) => infos.get(id) ?? []);
  return {
    from,
    to,
    hidden: infosOf(before, after),
    shown: infosOf(after, before),
    apply: async () => await apply(parts, from.id, to.id),
  };
}

function targetOf(
  metadata: TableMetadata,
  infos: ReadonlyMap<bigint, SnapshotInfo>,
  target: RollbackTarget,
): SnapshotInfo {
  if ("snapshotId" in target) {
    const found = infos.get(target.snapshotId);
    if (found !== undefined) return found;
    throw notFound(`the table has no snapshot ${target.snapshotId}`, metadata);
  }
  const ids = ancestorIds(metadata, metadata["current-snapshot-id"]);
  const found = ids.flatMap((id) => infos.get(id) ?? []).find((info) => info.committedAt <= target.timestamp);
  if (found !== undefined) return found;
  const time = new Date(target.timestamp).toISOString();
  throw notFound(`no snapshot in the history of the current one is from ${time} or before`, metadata);
}

function notFound(problem: string, { location }: TableMetadata): MillraceError {
  return new MillraceError("SNAPSHOT_NOT_FOUND", problem, {
    where: { path: location },
    hint: "`millrace table snapshots` lists those that are left. Expired ones cannot be brought back.",
  });
}

/** Errors: `TABLE_MOVED_ON`, `COMMIT_CONFLICTS`. */
async function apply(parts: TableParts, fromId: bigint, toId: bigint): Promise<void> {
  await changeTable(parts, ({ metadata }) => {
    const currentId = metadata["current-snapshot-id"];
    // An earlier try, whose answer was lost, has landed.
    if (currentId === toId) return { result: undefined };
    if (currentId !== fromId) throw movedOn(metadata, currentId);
    const main = metadata.refs["main"] ?? { type: "branch" as const };
    return {
      result: undefined,
      commit: {
        requirements: [
          { type: "assert-table-uuid", uuid: metadata["table-uuid"] },
          { type: "assert-ref-snapshot-id", ref: "main", "snapshot-id": fromId },
        ],
        updates: [{ action: "set-snapshot-ref", ...main, "ref-name": "main", "snapshot-id": toId }],
      },
    };
  });
}

function movedOn({ location }: TableMetadata, id: bigint | undefined): MillraceError {
  return new MillraceError(
    "TABLE_MOVED_ON",
    `another writer has made ${id === undefined ? "no snapshot" : `snapshot ${id}`} the current one since the preview`,
    {
      where: { path: location },
      hint: "Nothing was changed. Run `millrace table rollback` again to see what it would hide now.",
    },
  );
}
