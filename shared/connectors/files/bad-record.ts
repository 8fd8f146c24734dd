import { ValueMismatch } from "../../arrow/builders/builder.ts";
import type { Row } from "../../contract/stream-reader.ts";
import { MalformedRowError } from "../kit/malformed.ts";

/**
 * The parts of a record that are kept if no row could be made of it: its file, and its line
 * (`jsonl`), or the texts of its fields by column, or of all of them if their number is wrong
 * (`csv`).
 */
export type RecordContent =
  | { readonly file: string; readonly line: string }
  | { readonly file: string; readonly fields: Readonly<Record<string, string | null>> }
  | { readonly file: string; readonly record: readonly (string | null)[] };

/** A row, with what is kept of it if it does not fit. */
export class KeptRow {
  readonly row: Row;
  readonly content: RecordContent;

  constructor(row: Row, content: RecordContent) {
    this.row = row;
    this.content = content;
  }
}

/** What a file yields in place of a row. */
export type FileRow = Row | KeptRow | BadRecord;

/** Stands for a record from which no row could be made. `error` does not know the file yet. */
export class BadRecord {
  readonly error: ValueMismatch | MalformedRowError;
  readonly content: RecordContent;

  private constructor(error: ValueMismatch | MalformedRowError, content: RecordContent) {
    this.error = error;
    this.content = content;
  }

  /** Throws the error if it is not about the record alone. */
  static of(error: unknown, content: RecordContent): BadRecord {
    if (error instanceof ValueMismatch || error instanceof MalformedRowError)
      return new BadRecord(error, content);
    throw error;
  }
}
