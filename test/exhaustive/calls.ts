import type { ErrorParts } from "../../shared/contract/errors.ts";

/**
 * The time. It stands still: every lease has expired, and every file is old enough for a vacuum.
 */
export const NOW: number = Date.UTC(2026, 10, 21);

/** The parts of the world. A call reads and changes one of them. */
export const PARTS = ["ledger", "store", "source"] as const;
export type PartName = (typeof PARTS)[number];

/** A call of a port. Equal calls are the same object. */
export interface Call {
  readonly id: number;
  readonly part: PartName;
  readonly method: string;
  readonly args: readonly unknown[];
  /** The folder of the store whose method is called. Empty, or with a slash at its end. */
  readonly folder: string;
  /** True if the call can change nothing. */
  readonly isRead: boolean;
}

/** What a call returned or threw. Equal answers are the same object. */
export interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: ErrorParts;
}

/** The content of the object store, by key. Equal contents are the same object. */
export type Objects = ReadonlyMap<string, Uint8Array>;

/** The offsets that the source received in `commit(end)`. */
export type Acknowledged = readonly number[];

/** What a call does to one state of its part. */
export interface Effect {
  /** Number of the part's state after the call. */
  readonly after: number;
  readonly answer: Answer;
  /** The rule that the call broke. */
  readonly problem: string | undefined;
}
