import type { SnapshotInfo } from "../../shared/connectors/iceberg/maintenance/snapshots.ts";
import { formatCount } from "./text.ts";

/** Returns a snapshot as `--json` prints it. Ids are text, because they have more than 53 bits. */
export function publicSnapshot(snapshot: SnapshotInfo): object {
  const { id, parentId, committedAt, sequenceNumber, ...rest } = snapshot;
  return {
    id: String(id),
    parentId: parentId === undefined ? null : String(parentId),
    committedAt: new Date(committedAt).toISOString(),
    sequenceNumber: Number(sequenceNumber),
    ...rest,
  };
}

/** Formats the rows that a snapshot added and removed: `+20 -5`. */
export function rowsCell(snapshot: SnapshotInfo | undefined): string {
  const { addedRows, deletedRows } = snapshot ?? {};
  const added = addedRows === undefined ? [] : [`+${formatCount(addedRows)}`];
  const deleted = deletedRows === undefined ? [] : [`-${formatCount(deletedRows)}`];
  return [...added, ...deleted].join(" ");
}

/** Formats the batch that made a snapshot: `orders batch 7`. */
export function batchCell({ batch }: SnapshotInfo): string {
  return batch === undefined ? "" : `${batch.pipeline} batch ${batch.batchId}`;
}
