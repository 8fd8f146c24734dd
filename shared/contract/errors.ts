import type { ErrorCode } from "./error-codes.ts";
import { kindOf } from "./json.ts";

/** Where an error happened. Every field that is known is set. */
export interface ErrorLocation {
  /** Name of the pipeline. */
  readonly pipeline?: string;
  /** Id of the batch, from 0. */
  readonly batchId?: number;
  /** Index of the partition in its batch, from 0. */
  readonly partition?: number;
  /** Attempt of the whole batch, from 1. */
  readonly attempt?: number;
  /** Attempt of the writer task, from 0, as Spark's `attemptNumber`. */
  readonly attemptNumber?: number;
  /** Number of the row in its partition, from 1. */
  readonly row?: number;
  /** Name of the field, with the path to the place in a nested value: `tags[2]`. */
  readonly field?: string;
  /** Without credentials and without query parameters that came from the environment. */
  readonly url?: string;
  /** HTTP status. */
  readonly status?: number;
  /** File, folder or key. */
  readonly path?: string;
}

/** What a MillraceError may carry besides its code and message. */
export interface MillraceErrorOptions {
  /** Where it happened. */
  readonly where?: ErrorLocation;
  /** What the person who is paged should do. */
  readonly hint?: string | undefined;
  /** True if the same call may succeed later: it is then tried again with back-off. */
  readonly retryable?: boolean;
  /**
   * The offending value, shortened. Shown on the terminal of the run, never stored and never
   * logged.
   */
  readonly found?: string | undefined;
  /** The error below, if any. */
  readonly cause?: unknown;
}

/** An error as the ledger keeps it: no row content, no secret. */
export interface ErrorRecord {
  /** One of docs/errors.md, or a user's own. */
  readonly code: string;
  /** What happened, without row content. */
  readonly message: string;
  /** Where it happened. */
  readonly where: ErrorLocation;
  /** What to do. */
  readonly hint?: string;
}

/** What an error is made of; an `ErrorRecord` is such, too. */
export interface ErrorParts extends MillraceErrorOptions {
  /** One of docs/errors.md, or a user's own. */
  readonly code: string;
  /** What happened, without row content. */
  readonly message: string;
  /** Where it was made; else it is made here. */
  readonly stack?: string | undefined;
}

/**
 * Every error that Millrace raises on purpose. `message` names what happened, without row content.
 */
export class MillraceError extends Error {
  /** One of docs/errors.md, or a user's own. */
  readonly code: string;
  /** Where it happened. */
  readonly where: ErrorLocation;
  /** What to do. */
  readonly hint: string | undefined;
  /** True if the same call may succeed later. */
  readonly retryable: boolean;
  /** The offending value, shortened: for the terminal only. */
  readonly found: string | undefined;
  /** Marks the class across two copies of the package. */
  readonly kind = "millrace.error" as const;

  /** `code` is one of docs/errors.md. An error with a code of your own: `MillraceError.from`. */
  constructor(code: ErrorCode, message: string, options: MillraceErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "MillraceError";
    this.code = code;
    this.where = options.where ?? {};
    this.hint = options.hint;
    this.retryable = options.retryable ?? false;
    this.found = options.found;
  }

  /** Works across two copies of the package, such as a bundled handler and its host. */
  static is(error: unknown): error is MillraceError {
    return typeof error === "object" && error !== null && "kind" in error && error.kind === "millrace.error";
  }

  /**
   * An error of these parts, whatever its code: one with a code of your own, one that was recorded,
   * or one that came from another thread.
   */
  static from({ code, message, stack, ...options }: ErrorParts): MillraceError {
    const error = new MillraceError(code as ErrorCode, message, options);
    if (stack !== undefined) error.stack = stack;
    return error;
  }

  /**
   * A copy of the error with what the caller knows besides. Of the place, what is already there
   * stays; anything else that is given replaces what was there.
   */
  with({ where, ...changes }: MillraceErrorOptions): MillraceError {
    return MillraceError.from({ ...partsOf(this), ...changes, where: { ...where, ...this.where } });
  }

  /** What may be stored and logged of it. */
  toRecord(): ErrorRecord {
    return {
      code: this.code,
      message: this.message,
      where: this.where,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
    };
  }
}

/** All that an error is made of: what `MillraceError.from` makes it of again. */
export function partsOf(error: MillraceError): ErrorParts {
  const { code, message, where, hint, retryable, found, cause, stack } = error;
  return { code, message, where, hint, retryable, found, cause, stack };
}

/**
 * Any thrown value as a MillraceError at `where`; what is not one yet becomes `code`. Its own
 * message may quote rows or secrets, so it stays in `cause`, for the terminal; the message has its
 * class and code only. It counts as retryable if `retryable`, or the value itself, says so.
 */
export function toMillraceError(
  thrown: unknown,
  code: ErrorCode,
  doing: string,
  where: ErrorLocation,
  retryable = false,
): MillraceError {
  if (MillraceError.is(thrown)) return thrown.with({ where });
  const saysRetryable =
    typeof thrown === "object" && thrown !== null && "retryable" in thrown && thrown.retryable === true;
  return new MillraceError(code, `${doing}: ${classOf(thrown)}`, {
    where,
    retryable: retryable || saysRetryable,
    hint: "Its own message is below, or on the terminal of the run: the ledger does not keep it, for it may quote rows.",
    cause: thrown,
  });
}

/** `TypeError`, `SystemError ECONNRESET`; for what is no error, what it is. */
function classOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return kindOf(thrown);
  const code =
    "code" in thrown && typeof thrown.code === "string" && /^[A-Z][A-Z0-9_]*$/.test(thrown.code)
      ? ` ${thrown.code}`
      : "";
  return `${thrown.constructor.name}${code}`;
}

/**
 * The stack of the first cause, which is where the user's own code failed. For the terminal: it may
 * quote rows.
 */
export function causeOf(error: MillraceError): string | undefined {
  let cause: unknown = error.cause;
  while (cause instanceof Error && cause.cause !== undefined) cause = cause.cause;
  if (cause === undefined || MillraceError.is(cause)) return undefined;
  return cause instanceof Error ? (cause.stack ?? `${cause.name}: ${cause.message}`) : String(cause);
}

/** A value for `found`: JSON if it has one, cut at 80 characters. */
export function show(value: unknown): string {
  let text: string;
  try {
    if (typeof value === "bigint") text = `${value}n`;
    else if (typeof value === "number") text = String(value);
    else text = JSON.stringify(value, digitsOf) ?? String(value);
  } catch {
    text = String(value);
  }
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

const LONGEST_NAME = 40;

/** Names for an error: `"a", "b" and 3 more`; each cut at 40 characters. */
export function listNames(names: readonly string[], most: number): string {
  const shown = names
    .slice(0, most)
    .map((name) => JSON.stringify(name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}…` : name));
  const more = names.length - shown.length;
  return `${shown.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

/** JSON has no bigint. */
function digitsOf(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? `${value}n` : value;
}
