import type { ErrorCode } from "./error-codes.ts";
import { type ErrorOrigin, originOf } from "./error-origin.ts";
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
  /** Attempt of the writer task, from 0, like Spark's `attemptNumber`. */
  readonly attemptNumber?: number;
  /** Number of the row in its partition, from 1. */
  readonly row?: number;
  /** The step that changes rows: its number, from 1, and its name, such as `2 map(clean)`. */
  readonly step?: string;
  /** Name of the field. For a nested value it includes the path, such as `tags[2]`. */
  readonly field?: string;
  /** URL without credentials, and without query parameters that came from environment variables. */
  readonly url?: string;
  /** HTTP status code. */
  readonly status?: number;
  /** Path of a file or folder, or key of an object. */
  readonly path?: string;
}

/** What a MillraceError can carry besides its code and message. */
export interface MillraceErrorOptions {
  /** Where it happened. */
  readonly where?: ErrorLocation;
  /** What the person who handles the error should do. */
  readonly hint?: string | undefined;
  /** True if the same call may succeed later. It is then retried with back-off. */
  readonly retryable?: boolean;
  /**
   * The offending value, shortened. It is shown in the terminal of the run, but never stored or
   * logged.
   */
  readonly found?: string | undefined;
  /** The error that caused this one, if any. */
  readonly cause?: unknown;
  /** Where the cause came from, without its words. Default: taken from `cause`. */
  readonly origin?: ErrorOrigin | undefined;
  /** Errors that came after this one, for example from cleaning up. This one is the first cause. */
  readonly also?: readonly ErrorParts[] | undefined;
}

/** An error as the ledger stores it, without row content or secrets. */
export interface ErrorRecord {
  /** A code listed in docs/errors.md, or a user-defined one. */
  readonly code: string;
  /** What happened, without row content. */
  readonly message: string;
  /** Where it happened. */
  readonly where: ErrorLocation;
  /** What the user should do. */
  readonly hint?: string;
  /** True if the same call may succeed later. */
  readonly retryable?: true;
  /** Where an error came from that Millrace did not raise. */
  readonly origin?: ErrorOrigin;
  /** Errors that came after this one, for example from cleaning up. */
  readonly also?: readonly ErrorRecord[];
}

/**
 * All parts from which `MillraceError.from` builds an error. An `ErrorRecord` has this shape too.
 */
export interface ErrorParts extends MillraceErrorOptions {
  /** A code listed in docs/errors.md, or a user-defined one. */
  readonly code: string;
  /** What happened, without row content. */
  readonly message: string;
  /**
   * The original stack trace. Without it the error gets the stack of the `MillraceError.from` call.
   */
  readonly stack?: string | undefined;
}

/**
 * Every error that Millrace raises on purpose. `message` says what happened, without row content.
 */
export class MillraceError extends Error {
  /** A code listed in docs/errors.md, or a user-defined one. */
  readonly code: string;
  /** Where it happened. */
  readonly where: ErrorLocation;
  /** What the user should do. */
  readonly hint: string | undefined;
  /** True if the same call may succeed later. */
  readonly retryable: boolean;
  /** The offending value, shortened. It is only shown in the terminal. */
  readonly found: string | undefined;
  /** Where the cause came from, without its words. */
  readonly origin: ErrorOrigin | undefined;
  /** Errors that came after this one, for example from cleaning up. */
  readonly also: readonly ErrorParts[];
  /**
   * Identifies the class even if two copies of the package are installed, where `instanceof` fails.
   */
  readonly kind = "millrace.error" as const;

  /** `code` must be listed in docs/errors.md. For a code of your own use `MillraceError.from`. */
  constructor(code: ErrorCode, message: string, options: MillraceErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "MillraceError";
    this.code = code;
    this.where = options.where ?? {};
    this.hint = options.hint;
    this.retryable = options.retryable ?? false;
    this.found = options.found;
    this.origin = options.origin ?? (MillraceError.is(options.cause) ? undefined : originOf(options.cause));
    this.also = options.also ?? [];
  }

  /**
   * Like `instanceof`, but also true for an error of another copy of the package, such as the copy
   * in a bundled handler.
   */
  static is(error: unknown): error is MillraceError {
    return typeof error === "object" && error !== null && "kind" in error && error.kind === "millrace.error";
  }

  /**
   * Builds an error from its parts, with any code: a user-defined error, one that was recorded, or
   * one that another thread sent.
   */
  static from({ code, message, stack, ...options }: ErrorParts): MillraceError {
    const error = new MillraceError(code as ErrorCode, message, options);
    if (stack !== undefined) error.stack = stack;
    return error;
  }

  /**
   * Returns a copy with additional details. Fields of `where` that are already set are kept; any
   * other option replaces the existing value.
   */
  with({ where, ...changes }: MillraceErrorOptions): MillraceError {
    return MillraceError.from({ ...partsOf(this), ...changes, where: { ...where, ...this.where } });
  }

  /** Returns the parts that may be stored and logged. */
  toRecord(): ErrorRecord {
    return recordOf(this);
  }
}

function recordOf({
  code,
  message,
  where = {},
  hint,
  retryable,
  origin,
  also = [],
}: ErrorParts): ErrorRecord {
  return {
    code,
    message,
    where,
    ...(hint === undefined ? {} : { hint }),
    ...(retryable === true ? { retryable } : {}),
    ...(origin === undefined ? {} : { origin }),
    ...(also.length === 0 ? {} : { also: also.map(recordOf) }),
  };
}

/** Returns all parts of an error, from which `MillraceError.from` can rebuild it. */
export function partsOf(error: MillraceError): ErrorParts {
  const { code, message, where, hint, retryable, found, cause, origin, stack, also } = error;
  return { code, message, where, hint, retryable, found, cause, origin, stack, also };
}

/**
 * Wraps any thrown value as a MillraceError at `where`. A MillraceError keeps its code; any other
 * value gets `code`. The new message contains only the class and code of the thrown value, because
 * its own message may quote rows or secrets. That message stays in `cause`, which only the terminal
 * shows. The result is retryable if `retryable` is true or the thrown value has `retryable: true`.
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
  return new MillraceError(code, `${doing}: ${classNameOf(thrown)}`, {
    where,
    retryable: retryable || saysRetryable,
    hint: "Its own message is below, or in the log of the run: the ledger does not keep it, for it may quote rows.",
    cause: thrown,
  });
}

/**
 * Returns `TypeError` or `SystemError ECONNRESET` for an error, and the kind of value for anything
 * else.
 */
function classNameOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return kindOf(thrown);
  const code =
    "code" in thrown && typeof thrown.code === "string" && /^[A-Z][A-Z0-9_]*$/.test(thrown.code)
      ? ` ${thrown.code}`
      : "";
  return `${thrown.constructor.name}${code}`;
}

/**
 * Returns the stack of the innermost cause, which points into the user's own code. Show it in the
 * terminal only, because it may quote rows. `undefined` if there is no cause, or if that cause is a
 * MillraceError itself.
 */
export function causeOf(error: Pick<ErrorParts, "cause">): string | undefined {
  let cause: unknown = error.cause;
  while (cause instanceof Error && cause.cause !== undefined) cause = cause.cause;
  if (cause === undefined || MillraceError.is(cause)) return undefined;
  return cause instanceof Error ? (cause.stack ?? `${cause.name}: ${cause.message}`) : String(cause);
}

/** Formats a value for `found`: as JSON if possible, cut at 80 characters. */
export function show(value: unknown): string {
  let text: string;
  try {
    if (typeof value === "bigint") text = `${value}n`;
    else if (typeof value === "number") text = String(value);
    else text = JSON.stringify(value, bigintToText) ?? String(value);
  } catch {
    text = String(value);
  }
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

const LONGEST_NAME = 40;

/** Formats names for an error message: `"a", "b" and 3 more`. Each name is cut at 40 characters. */
export function listNames(names: readonly string[], most: number): string {
  const shown = names
    .slice(0, most)
    .map((name) => JSON.stringify(name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}…` : name));
  const more = names.length - shown.length;
  return `${shown.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

/** Replacer for `JSON.stringify`, which cannot write a bigint. */
function bigintToText(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? `${value}n` : value;
}
