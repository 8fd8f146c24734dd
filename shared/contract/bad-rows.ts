import type { ErrorCode } from "./error-codes.ts";
import { MillraceError } from "./errors.ts";

/**
 * What happens to a row that cannot be written: `fail` lets the batch fail, `drop` leaves the row
 * out and counts it, `quarantine` keeps it beside the batch with its reason.
 */
export type OnBadRow = "fail" | "drop" | "quarantine";

/** The choice set by `.onBadRow()`. */
export interface BadRowPolicy {
  /** What happens to the row. */
  readonly policy: OnBadRow;
  /** How many rows of a batch may be bad. A batch with more of them fails. Absent for no limit. */
  readonly max?: number;
}

/** A bad row, and how far it had come in the pipeline. */
export interface BadRowContent {
  /** The row, as a reader yielded it or as the steps made it. */
  readonly row: unknown;
  /** Number of steps that the row had passed. Absent for a row of the source. */
  readonly stepsBefore?: number;
  /** True for a row that had passed all steps, and that the sink refused. */
  readonly afterSteps?: boolean;
}

/**
 * The content of a bad row: the row, or what it was to be read from, such as the text of a line.
 */
export type BadContent = BadRowContent | { readonly raw: unknown };

/** Takes rows that cannot be written. */
export interface BadRowSink {
  /** Takes a row. Throws if the batch has too many of them. */
  add(error: MillraceError, content: BadContent): void;
}

/**
 * What a sink keeps of the rows that it refused in a commit, in one step with the rows that it
 * took. JSON.
 */
export type RefusedRows = {
  /** Number of refused rows. */
  readonly rows: number;
  /** Where the keys of the files begin that hold them. Absent if the rows were dropped. */
  readonly prefix?: string;
  /** Number of these files. */
  readonly files?: number;
};

/** Takes the rows that a sink refuses in one try of a commit. */
export interface RefusedRowSink extends BadRowSink {
  /**
   * Stores the rows, and returns what the sink must keep; `undefined` if it refused none. Call it
   * before the commit takes effect.
   */
  finish(): Promise<RefusedRows | undefined>;
}

/**
 * Stands for a row that a reader found and cannot read. A reader yields it in place of the row, and
 * `.onBadRow()` of the pipeline decides what happens: by default the batch fails with its error.
 */
export class BadRow {
  /** Why the row cannot be read, and where it was found. */
  readonly error: MillraceError;
  /** What the row was to be read from. It is kept if the pipeline quarantines bad rows. */
  readonly content: unknown;
  /**
   * Identifies the class even if two copies of the package are installed, where `instanceof` fails.
   */
  readonly kind = "millrace.badRow" as const;

  constructor(error: MillraceError, content: unknown) {
    this.error = error;
    this.content = content;
  }

  /** Like `instanceof`, but also true for an object of another copy of the package. */
  static is(value: unknown): value is BadRow {
    return typeof value === "object" && value !== null && "kind" in value && value.kind === "millrace.badRow";
  }
}

/** Errors of rows that can be left out, if they name a row. */
const OF_A_ROW: ReadonlySet<string> = new Set<ErrorCode>([
  "DYNAMODB_FAILED",
  "FILE_MALFORMED",
  "POSTGRES_FAILED",
  "RECORD_NOT_JSON",
  "ROW_MISMATCH",
  "ROW_NOT_A_ROW",
  "STEP_FAILED",
]);

/** Adds to the error of a bad row how the other rows can go on. */
export function withBadRowHint(error: unknown): unknown {
  if (!MillraceError.is(error) || error.where.row === undefined) return error;
  if (!OF_A_ROW.has(error.code)) return error;
  const before = error.hint === undefined ? "" : `${error.hint} `;
  const hint = `${before}To keep such rows aside and go on with the others: \`.onBadRow("quarantine")\`.`;
  return error.with({ hint });
}

const POLICIES: ReadonlySet<string> = new Set<OnBadRow>(["fail", "drop", "quarantine"]);

/** Returns the choice if it is valid. Throws `ON_BAD_ROW_INVALID`. */
export function checkOnBadRow(policy: string, { max }: { readonly max?: number } = {}): BadRowPolicy {
  if (!POLICIES.has(policy)) throw invalid(`"${policy}" is no choice of .onBadRow()`);
  if (max === undefined) return { policy: policy as OnBadRow };
  if (!Number.isSafeInteger(max) || max < 0) throw invalid(`max is ${max}, not a number of rows`);
  if (policy === "fail") throw invalid('max cannot stand beside "fail"');
  return { policy: policy as OnBadRow, max };
}

function invalid(problem: string): MillraceError {
  const choices = [...POLICIES].map((name) => `.onBadRow("${name}")`).join(", ");
  return new MillraceError("ON_BAD_ROW_INVALID", problem, {
    hint: `Write one of ${choices}, and beside the last two perhaps how many rows of a batch may be bad: .onBadRow("quarantine", { max: 100 }).`,
  });
}
