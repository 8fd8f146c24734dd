import { valueRowsOf } from "../../arrow/rows.ts";
import type { BadRowSink } from "../../contract/bad-rows.ts";
import type { OnBadRow } from "../steps/origin.ts";

/**
 * Returns what takes the rows for which a step of the pipeline fails. `undefined` without a
 * sink.
 */
export function onBadRowOf(badRows: BadRowSink | undefined): OnBadRow | undefined {
  if (badRows === undefined) return undefined;
  return ({ error, yielded, found, stepsBefore }) => {
    if (found === undefined) return badRows.add(error, { row: yielded });
    const [row] = valueRowsOf(found.batch.slice(found.index, found.index + 1));
    // A row that has passed steps is no row of the source, so it cannot begin anew.
    badRows.add(error, stepsBefore === 0 ? { row } : { row, stepsBefore });
  };
}
