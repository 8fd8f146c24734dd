import type { DeltaWriteBuilder } from "./row-level.ts";
import type { Table } from "./table.ts";
import type { LogicalWriteInfo } from "./write-info.ts";

/**
 * How a table keeps the changes of a key. 1: one row, the newest state. 2: a row for each state,
 * with the columns `__START_AT` and `__END_AT`.
 */
export type ScdType = 1 | 2;

/**
 * What a table learns about a stream of changes. `schema` has the columns that are stored, without
 * `__START_AT` and `__END_AT`; `rowIdSchema` the keys; `metadataSchema` the columns `__sequence`,
 * with `storedAsScdType: 2` also `__start_at`, and those of `sequenceBy` by their own names.
 */
export interface AutoCdcInfo extends LogicalWriteInfo {
  /** How the changes of a key are kept. */
  readonly storedAsScdType: ScdType;
  /** How long the sequence of a deleted key is kept, in milliseconds. */
  readonly tombstonesKeptMilliseconds: number;
}

/**
 * A table that a stream of changes can be merged into, by key. Its writers get `update(metadata,
 * id, row)` for a row that is inserted or replaced, and `delete(metadata, id)`. In metadata,
 * `__sequence` is binary, and compares byte by byte like the sequence of the change. A change must
 * only take effect if its sequence is greater than the last one of its key, also if that one was a
 * delete. One task gets all changes of a key; of one batch only the last one, if `storedAsScdType`
 * is 1, and else all of them in the order of their sequences. So its write cannot require another
 * distribution or order.
 */
export interface SupportsAutoCdc extends Table {
  /** Returns a builder. Called in each step of a batch, with equal information. */
  newAutoCdcWriteBuilder(info: AutoCdcInfo): DeltaWriteBuilder;
}
