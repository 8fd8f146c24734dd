import { MillraceError } from "./errors.ts";
import { isPlainObject, kindOf } from "./json.ts";

/** Asks for all data that exists. (Spark: `ReadAllAvailable`.) */
export class ReadAllAvailable {
  /**
   * Discriminant of the `ReadLimit` union, which works even if two copies of the package are
   * installed.
   */
  readonly kind = "ReadAllAvailable";

  /** Returns the text that Spark returns for this limit. */
  toString(): string {
    return "ReadAllAvailable()";
  }
}

/**
 * Asks to wait until at least this many rows exist; until then `latestOffset` returns its start.
 * (Spark: `ReadMinRows`.)
 */
export class ReadMinRows {
  /** Discriminant of the `ReadLimit` union. */
  readonly kind = "ReadMinRows";
  /** Number of rows to wait for. */
  readonly minRows: number;
  /** Milliseconds after which fewer rows are enough; `undefined` to wait without a time limit. */
  readonly maxTriggerDelayMs: number | undefined;

  /** Throws `READ_LIMIT_INVALID` if a number is not a positive whole number. */
  constructor(minRows: number, maxTriggerDelayMs?: number) {
    this.minRows = checkCount("ReadMinRows", minRows);
    this.maxTriggerDelayMs =
      maxTriggerDelayMs === undefined ? undefined : checkCount("ReadMinRows", maxTriggerDelayMs);
  }

  /** Returns the text that Spark returns for this limit. */
  toString(): string {
    const delay =
      this.maxTriggerDelayMs === undefined ? "" : `, max_trigger_delay_ms=${this.maxTriggerDelayMs}`;
    return `ReadMinRows(min_rows=${this.minRows}${delay})`;
  }
}

/** Asks for at most this many rows. (Spark: `ReadMaxRows`.) */
export class ReadMaxRows {
  /** Discriminant of the `ReadLimit` union. */
  readonly kind = "ReadMaxRows";
  /** Maximum number of rows. */
  readonly maxRows: number;

  /** Throws `READ_LIMIT_INVALID` if `maxRows` is not a positive whole number. */
  constructor(maxRows: number) {
    this.maxRows = checkCount("ReadMaxRows", maxRows);
  }

  /** Returns the text that Spark returns for this limit. */
  toString(): string {
    return `ReadMaxRows(max_rows=${this.maxRows})`;
  }
}

/** Asks for at most this many files. (Spark: `ReadMaxFiles`.) */
export class ReadMaxFiles {
  /** Discriminant of the `ReadLimit` union. */
  readonly kind = "ReadMaxFiles";
  /** Maximum number of files. */
  readonly maxFiles: number;

  /** Throws `READ_LIMIT_INVALID` if `maxFiles` is not a positive whole number. */
  constructor(maxFiles: number) {
    this.maxFiles = checkCount("ReadMaxFiles", maxFiles);
  }

  /** Returns the text that Spark returns for this limit. */
  toString(): string {
    return `ReadMaxFiles(max_files=${this.maxFiles})`;
  }
}

/** Asks for at most this many bytes. (Spark: `ReadMaxBytes`.) */
export class ReadMaxBytes {
  /** Discriminant of the `ReadLimit` union. */
  readonly kind = "ReadMaxBytes";
  /** Maximum number of bytes. */
  readonly maxBytes: number;

  /** Throws `READ_LIMIT_INVALID` if `maxBytes` is not a positive whole number. */
  constructor(maxBytes: number) {
    this.maxBytes = checkCount("ReadMaxBytes", maxBytes);
  }

  /** Returns the text that Spark returns for this limit. */
  toString(): string {
    return `ReadMaxBytes(max_bytes=${this.maxBytes})`;
  }
}

/**
 * How much data the next batch should read. The kinds are distinguished by `kind`. The engine does
 * not enforce a limit: a reader that ignores it may return any end. (Spark: `ReadLimit`.)
 */
export type ReadLimit = ReadAllAvailable | ReadMinRows | ReadMaxRows | ReadMaxFiles | ReadMaxBytes;

const KINDS: ReadonlySet<unknown> = new Set<ReadLimit["kind"]>([
  "ReadAllAvailable",
  "ReadMinRows",
  "ReadMaxRows",
  "ReadMaxFiles",
  "ReadMaxBytes",
]);

/**
 * Returns `value` if it is a read limit, also one of another copy of the package. Throws
 * `READ_LIMIT_INVALID`.
 */
export function checkReadLimit(value: unknown, method: string): ReadLimit {
  if (typeof value === "object" && value !== null && "kind" in value && KINDS.has(value.kind))
    return value as ReadLimit;
  const found = isPlainObject(value) ? "an object of another kind" : kindOf(value);
  throw new MillraceError("READ_LIMIT_INVALID", `${method} must give a read limit, but gave ${found}`, {
    hint: "Give new ReadAllAvailable(), or new ReadMaxRows(1000) or another of the ReadMax… classes.",
  });
}

function checkCount(name: string, count: number): number {
  if (Number.isSafeInteger(count) && count >= 1) return count;
  throw new MillraceError("READ_LIMIT_INVALID", `${name} must have whole numbers from 1 on, not ${count}`, {
    hint: "Give the number of rows, files, bytes or milliseconds; everything there is: new ReadAllAvailable().",
  });
}
