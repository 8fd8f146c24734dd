import type { DataFile, Snapshot } from "../format/types.ts";

/** Counts over the files that a snapshot adds or removes. */
interface Counts {
  readonly dataFiles: number;
  readonly records: number;
  readonly bytes: number;
  readonly deleteFiles: number;
  readonly positionDeletes: number;
  readonly equalityDeletes: number;
}

function countsOf(files: readonly DataFile[]): Counts {
  const sum = { dataFiles: 0, records: 0, bytes: 0, deleteFiles: 0, positionDeletes: 0, equalityDeletes: 0 };
  for (const { content, recordCount, fileSizeInBytes } of files) {
    sum.bytes += fileSizeInBytes;
    if (content === 0) {
      sum.dataFiles++;
      sum.records += recordCount;
      continue;
    }
    sum.deleteFiles++;
    if (content === 1) sum.positionDeletes += recordCount;
    else sum.equalityDeletes += recordCount;
  }
  return sum;
}

/** Returns the counts of a snapshot's summary, with the names of Iceberg's SnapshotSummary. */
export function countSummary(
  parent: Snapshot | undefined,
  added: readonly DataFile[],
  removed: readonly DataFile[],
): Readonly<Record<string, string>> {
  const plus = countsOf(added);
  const minus = countsOf(removed);
  const partitions = new Set([...added, ...removed].map(({ partition }) => String(partition)));
  return {
    ...nonZero({
      "added-data-files": plus.dataFiles,
      "added-records": plus.records,
      "added-files-size": plus.bytes,
      "deleted-data-files": minus.dataFiles,
      "deleted-records": minus.records,
      "removed-files-size": minus.bytes,
      "removed-delete-files": minus.deleteFiles,
      "removed-position-deletes": minus.positionDeletes,
      "removed-equality-deletes": minus.equalityDeletes,
      "changed-partition-count": partitions.size,
    }),
    ...totals(parent, {
      "total-records": plus.records - minus.records,
      "total-files-size": plus.bytes - minus.bytes,
      "total-data-files": plus.dataFiles - minus.dataFiles,
      "total-delete-files": -minus.deleteFiles,
      "total-position-deletes": -minus.positionDeletes,
      "total-equality-deletes": -minus.equalityDeletes,
    }),
  };
}

function nonZero(counts: Readonly<Record<string, number>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(counts).flatMap(([name, count]) => (count === 0 ? [] : [[name, String(count)]])),
  );
}

/** A total that the parent lacks is unknown, and stays absent. */
function totals(
  parent: Snapshot | undefined,
  changes: Readonly<Record<string, number>>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(changes).flatMap(([name, change]) => {
      const before = parent === undefined ? "0" : parent.summary[name];
      if (before === undefined || !/^\d+$/.test(before)) return [];
      return [[name, String(BigInt(before) + BigInt(change))]];
    }),
  );
}
