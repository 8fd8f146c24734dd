import { MillraceError } from "./errors.ts";
import { isPlainObject, kindOf } from "./json.ts";

/** Ask for everything that is there. (Spark: `ReadAllAvailable`.) */
export class ReadAllAvailable {
  /** Tells the kinds of limit apart, also across two copies of the package. */
  readonly kind = "ReadAllAvailable";

  /** As Spark prints it. */
  toString(): string {
    return "ReadAllAvailable()";
  }
}

/** Wait until so much is there: `latestOffset` returns its start before. (Spark: `ReadMinRows`.) */
export class ReadMinRows {
  /** Tells the kinds of limit apart. */
  readonly kind = "ReadMinRows";
  /** Rows. */
  readonly minRows: number;
  /** Milliseconds after which fewer rows do, too; `undefined` for ever. */
  readonly maxTriggerDelayMs: number | undefined;

  /** Error: `READ_LIMIT_INVALID`. */
  constructor(minRows: number, maxTriggerDelayMs?: number) {
    this.minRows = checkCount("ReadMinRows", minRows);
    this.maxTriggerDelayMs =
      maxTriggerDelayMs === undefined ? undefined : checkCount("ReadMinRows", maxTriggerDelayMs);
  }

  /** As Spark prints it. */
  toString(): string {
    const delay =
      this.maxTriggerDelayMs === undefined ? "" : `, max_trigger_delay_ms=${this.maxTriggerDelayMs}`;
    return `ReadMinRows(min_rows=${this.minRows}${delay})`;
  }
}

/** At most so many rows. (Spark: `ReadMaxRows`.) */
export class ReadMaxRows {
  /** Tells the kinds of limit apart. */
  readonly kind = "ReadMaxRows";
  /** Rows. */
  readonly maxRows: number;

  /** Error: `READ_LIMIT_INVALID`. */
  constructor(maxRows: number) {
    this.maxRows = checkCount("ReadMaxRows", maxRows);
  }

  /** As Spark prints it. */
  toString(): string {
    return `ReadMaxRows(max_rows=${this.maxRows})`;
  }
}

/** At most so many files. (Spark: `ReadMaxFiles`.) */
export class ReadMaxFiles {
  /** Tells the kinds of limit apart. */
  readonly kind = "ReadMaxFiles";
  /** Files. */
  readonly maxFiles: number;

  /** Error: `READ_LIMIT_INVALID`. */
  constructor(maxFiles: number) {
    this.maxFiles = checkCount("ReadMaxFiles", maxFiles);
  }

  /** As Spark prints it. */
  toString(): string {
    return `ReadMaxFiles(max_files=${this.maxFiles})`;
  }
}

/** At most so many bytes. (Spark: `ReadMaxBytes`.) */
export class ReadMaxBytes {
  /** Tells the kinds of limit apart. */
  readonly kind = "ReadMaxBytes";
  /** Bytes. */
  readonly maxBytes: number;

  /** Error: `READ_LIMIT_INVALID`. */
  constructor(maxBytes: number) {
    this.maxBytes = checkCount("ReadMaxBytes", maxBytes);
  }

  /** As Spark prints it. */
  toString(): string {
    return `ReadMaxBytes(max_bytes=${this.maxBytes})`;
  }
}

/**
 * How much the next batch should read; told apart by `kind`. The reader alone heeds it: one that
 * ignores it returns what it likes. (Spark: `ReadLimit`.)
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
 * Returns `value` if it is a read limit, of this copy of the package or another. Error:
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
