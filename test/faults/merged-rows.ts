/** A change of a key, as the stream has it at a position. */
export interface FeedChange {
  readonly k: number;
  readonly seq: number;
  readonly op: "u" | "d";
  readonly v: string;
}

/**
 * The first changes: late ones, one that comes again, two with one sequence, and deletes that older
 * changes follow, in the same batch and in later ones.
 */
const FIRST: readonly FeedChange[] = [
  { k: 0, seq: 5, op: "u", v: "a" },
  { k: 1, seq: 1, op: "u", v: "b" },
  { k: 0, seq: 3, op: "u", v: "c" },
  { k: 2, seq: 4, op: "u", v: "d" },
  { k: 1, seq: 2, op: "d", v: "" },
  { k: 0, seq: 4, op: "u", v: "e" },
  { k: 0, seq: 5, op: "u", v: "f" },
  { k: 2, seq: 9, op: "d", v: "" },
  { k: 2, seq: 8, op: "u", v: "g" },
  { k: 1, seq: 1, op: "u", v: "b" },
  { k: 3, seq: 2, op: "u", v: "h" },
  { k: 3, seq: 2, op: "u", v: "h" },
];

/** Returns the change at a position of the stream. */
export function changeAt(position: number): FeedChange {
  return FIRST[position] ?? { k: position % 3, seq: position, op: "u", v: `at ${position}` };
}

/** A change that a task stages. */
export interface StagedChange {
  readonly k: number;
  readonly sequence: string;
  /** Absent if the row is deleted. */
  readonly v?: string;
}

/** The table that a stream of changes is merged into: for each key the last change. */
export class MergedRows {
  readonly #last = new Map<number, StagedChange>();
  readonly staged = new Map<string, readonly StagedChange[]>();

  /** Merges changes. Each takes effect if it comes after the last one of its key. */
  merge(changes: readonly StagedChange[]): void {
    for (const change of changes) {
      const last = this.#last.get(change.k);
      const isNewer = last === undefined || Buffer.compare(bytesOf(change), bytesOf(last)) > 0;
      if (isNewer) this.#last.set(change.k, change);
    }
  }

  /** The rows that a reader sees. */
  get rows(): readonly (readonly [number, string])[] {
    return [...this.#last.values()].flatMap(({ k, v }) => (v === undefined ? [] : [[k, v] as const]));
  }
}

function bytesOf({ sequence }: StagedChange): Buffer {
  return Buffer.from(sequence, "base64");
}

/** Judges the rows against a naive model, which gets the positions that the table has taken. */
export function judgeMerge({ rows }: MergedRows, positions: readonly number[]): readonly string[] {
  const last = new Map<number, FeedChange>();
  for (const change of positions.map(changeAt))
    if (change.seq > (last.get(change.k)?.seq ?? -1)) last.set(change.k, change);
  const expected = [...last.values()].flatMap(({ k, op, v }) => (op === "d" ? [] : [[k, v] as const]));
  const textOf = (all: readonly (readonly [number, string])[]) =>
    JSON.stringify(all.toSorted(([a], [b]) => a - b));
  return textOf(rows) === textOf(expected) ? [] : ["a merged row is not the newest state of its key"];
}
