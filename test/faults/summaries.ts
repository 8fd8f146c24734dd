import type { WriteSummary } from "../../shared/contract/write/summary.ts";
import type { RowChange } from "./row-table.ts";

/** Returns what is wrong if a command counts other rows than those that its tasks have staged. */
export function summaryProblem(
  form: "delta" | "group" | "insert",
  summary: WriteSummary | undefined,
  changes: readonly RowChange[],
): string | undefined {
  const counted = countsOf(summary);
  const written = form === "delta" ? changesOf(changes) : [changes.length];
  const expected = form === "delta" ? counted : [counted.reduce((sum, each) => sum + each, 0)];
  if (form !== "delta") expected[0] = (expected[0] ?? 0) - (counted[0] ?? 0) + copiedOf(summary);
  return JSON.stringify(expected) === JSON.stringify(written)
    ? undefined
    : `a command counts ${expected}, and its tasks wrote ${written}`;
}

/** Numbers of deleted, updated and inserted rows. */
function countsOf(summary: WriteSummary | undefined): number[] {
  switch (summary?.kind) {
    case "DeleteSummary":
      return [summary.numDeletedRows, 0, 0];
    case "UpdateSummary":
      return [0, summary.numUpdatedRows, 0];
    case "MergeSummary":
      return [summary.numTargetRowsDeleted, summary.numTargetRowsUpdated, summary.numTargetRowsInserted];
    case "InsertSummary":
      return [0, 0, summary.numInsertedRows];
    default:
      return [];
  }
}

function copiedOf(summary: WriteSummary | undefined): number {
  if (summary === undefined || summary.kind === "InsertSummary") return 0;
  return summary.kind === "MergeSummary" ? summary.numTargetRowsCopied : summary.numCopiedRows;
}

function changesOf(changes: readonly RowChange[]): number[] {
  const count = (hasId: boolean, hasRow: boolean) =>
    changes.filter(({ id, row }) => (id !== undefined) === hasId && (row !== undefined) === hasRow).length;
  return [count(true, false), count(true, true), count(false, true)];
}
