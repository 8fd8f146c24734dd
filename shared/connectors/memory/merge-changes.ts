import type { NamedRow } from "../../contract/stream-reader.ts";
import type { AutoCdcInfo } from "../../contract/write/auto-cdc.ts";
import { keyText } from "./stored-values.ts";
import type { ChangedRows, Table } from "./table.ts";

/** A change of a key: an upsert, or a delete if it has no row. */
export interface Change {
  readonly metadata: NamedRow;
  readonly id: NamedRow;
  readonly row?: NamedRow;
}

/** The memory of a change that took effect. The rows themselves are in the table. */
interface Mark {
  readonly sequence: Buffer;
  readonly isDelete: boolean;
  /** The value of `__START_AT` of its row. */
  readonly start: unknown;
  /** When the batch was planned, in epoch milliseconds. */
  readonly plannedAt: number;
}

/** The marks of each key, in the order of their sequences. SCD type 1 has only the last one. */
type Marks = Map<string, readonly Mark[]>;

const marksOfTables = new WeakMap<Table, Marks>();

/** How the changes of one key are kept. */
interface Kept {
  readonly marks: readonly Mark[];
  readonly rows: readonly NamedRow[];
}

/**
 * Merges changes into the rows of a table. Returns which rows go and come. Sequences stay if
 * something else removes their rows: only a newer change brings a row back.
 */
export function mergeChanges(
  table: Table,
  rows: readonly NamedRow[],
  changes: readonly Change[],
  info: AutoCdcInfo,
): ChangedRows {
  const keys = (info.rowIdSchema?.fields ?? []).map(({ name }) => name);
  const keyOf = (row: NamedRow) => keyText(keys.map((name) => row[name]));
  const known: Marks = marksOfTables.get(table) ?? new Map();
  const before = Map.groupBy(rows, keyOf);
  const merged = new Map<string, Kept>();
  const merge = info.storedAsScdType === 1 ? replaced : inserted;
  for (const change of changes) {
    const key = keyOf(change.id);
    const kept = merged.get(key) ?? { marks: known.get(key) ?? [], rows: before.get(key) ?? [] };
    merged.set(key, merge(kept, markOf(change, info), change));
  }
  const entries = [...merged].map(([key, { marks }]) => [key, marks] as const);
  marksOfTables.set(table, remembered(new Map([...known, ...entries]), info));
  const after = new Set([...merged.values()].flatMap((kept) => kept.rows));
  const affected = new Set([...merged.keys()].flatMap((key) => before.get(key) ?? []));
  return {
    removed: new Set([...affected].filter((row) => !after.has(row))),
    added: [...after].filter((row) => !affected.has(row)),
  };
}

function markOf({ metadata, row }: Change, { plannedAt }: AutoCdcInfo): Mark {
  const sequence = Buffer.from(String(metadata["__sequence"]), "base64");
  return { sequence, isDelete: row === undefined, start: metadata["__start_at"], plannedAt };
}

function rowOf({ start }: Mark, rows: readonly NamedRow[]): NamedRow | undefined {
  const text = keyText([start]);
  return rows.find((row) => start === undefined || keyText([row["__START_AT"]]) === text);
}

/** SCD type 1: the change takes effect if it comes after the last one. */
function replaced(kept: Kept, mark: Mark, { row }: Change): Kept {
  const last = kept.marks.at(-1);
  if (last !== undefined && last.sequence.compare(mark.sequence) >= 0) return kept;
  return { marks: [mark], rows: row === undefined ? [] : [row] };
}

/**
 * SCD type 2: the change begins an interval, and ends the one that it falls into. A change with a
 * known sequence changes nothing.
 */
function inserted({ marks, rows }: Kept, mark: Mark, { row }: Change): Kept {
  const at = marks.filter(({ sequence }) => sequence.compare(mark.sequence) < 0).length;
  const [previous, next] = [marks[at - 1], marks[at]];
  if (next?.sequence.equals(mark.sequence)) return { marks, rows };
  const ended = previous?.isDelete === false ? rowOf(previous, rows) : undefined;
  const others = rows.map((each) => (each === ended ? { ...each, __END_AT: mark.start } : each));
  const begun = row && { ...row, __START_AT: mark.start, __END_AT: next?.start ?? null };
  return {
    marks: marks.toSpliced(at, 0, mark),
    rows: begun === undefined ? others : [...others, begun],
  };
}

/** Leaves out tombstones that are older than they are kept. SCD type 2 remembers all changes. */
function remembered(
  marks: Marks,
  { plannedAt, storedAsScdType, tombstonesKeptMilliseconds }: AutoCdcInfo,
): Marks {
  if (storedAsScdType === 2) return marks;
  const isKept = ({ isDelete, plannedAt: since }: Mark) =>
    !isDelete || since + tombstonesKeptMilliseconds > plannedAt;
  return new Map([...marks].filter(([, all]) => all.some(isKept)));
}
