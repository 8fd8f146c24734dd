import type { RowLevelCommand } from "../../contract/write/row-level.ts";
import type { MergeSummary, WriteSummary } from "../../contract/write/summary.ts";

/** The names under which operation rows of a command count. */
export const COUNTS = {
  DELETE: ["numDeletedRows", "numCopiedRows"],
  UPDATE: ["numUpdatedRows", "numCopiedRows"],
  MERGE: [
    "numTargetRowsCopied",
    "numTargetRowsInserted",
    "numTargetRowsMatchedUpdated",
    "numTargetRowsMatchedDeleted",
    "numTargetRowsNotMatchedBySourceUpdated",
    "numTargetRowsNotMatchedBySourceDeleted",
  ],
} as const satisfies Readonly<Record<RowLevelCommand, readonly string[]>>;

type Counts = Readonly<Record<string, number>>;

/** Returns the summary of a command. `isUnknown` if rows were deleted that nobody has counted. */
export function summaryOf(command: RowLevelCommand, counts: Counts, isUnknown = false): WriteSummary {
  const of = (name: string) => counts[name] ?? 0;
  if (command === "DELETE") {
    const numDeletedRows = isUnknown ? -1 : of("numDeletedRows");
    return { kind: "DeleteSummary", numDeletedRows, numCopiedRows: of("numCopiedRows") };
  }
  if (command === "UPDATE") {
    const numUpdatedRows = of("numUpdatedRows");
    return { kind: "UpdateSummary", numUpdatedRows, numCopiedRows: of("numCopiedRows") };
  }
  return mergeSummary(of);
}

function mergeSummary(of: (name: (typeof COUNTS.MERGE)[number]) => number): MergeSummary {
  const numTargetRowsMatchedUpdated = of("numTargetRowsMatchedUpdated");
  const numTargetRowsMatchedDeleted = of("numTargetRowsMatchedDeleted");
  const numTargetRowsNotMatchedBySourceUpdated = of("numTargetRowsNotMatchedBySourceUpdated");
  const numTargetRowsNotMatchedBySourceDeleted = of("numTargetRowsNotMatchedBySourceDeleted");
  return {
    kind: "MergeSummary",
    numTargetRowsCopied: of("numTargetRowsCopied"),
    numTargetRowsDeleted: numTargetRowsMatchedDeleted + numTargetRowsNotMatchedBySourceDeleted,
    numTargetRowsUpdated: numTargetRowsMatchedUpdated + numTargetRowsNotMatchedBySourceUpdated,
    numTargetRowsInserted: of("numTargetRowsInserted"),
    numTargetRowsMatchedUpdated,
    numTargetRowsMatchedDeleted,
    numTargetRowsNotMatchedBySourceUpdated,
    numTargetRowsNotMatchedBySourceDeleted,
  };
}
