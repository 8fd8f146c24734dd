import { kindOf } from "./json.ts";

/**
 * Where an error came from that Millrace did not raise. It has none of the error's own words, so
 * that the ledger may keep it.
 */
export interface ErrorOrigin {
  /** Class of the innermost error, such as `TypeError`, or the kind of value that was thrown. */
  readonly name: string;
  /** Its own code: `ECONNREFUSED`, or an SQLSTATE. */
  readonly code?: string;
  /** The HTTP status that it carries. */
  readonly status?: number;
  /** Frames of its stack, innermost first, at most four: `read (/app/pipeline.ts:12:5)`. */
  readonly frames?: readonly string[];
}

const MOST_FRAMES = 4;
const LONGEST_FRAME = 200;
const MOST_CAUSES = 10;

/** Codes of systems and libraries, and SQLSTATEs. Other texts might be words. */
const CODE = /^(?:[A-Z][A-Z0-9_]{1,59}|[0-9A-Z]{5})$/;
/** A frame ends with line and column. */
const FRAME = /^ {4}at (.+:\d+:\d+\)?)$/;
/** Frames of Node and of packages do not point into the user's own code. */
const FOREIGN = /\(?node:|[/\\]node_modules[/\\]/;

/**
 * Returns the origin of a cause, or `undefined` if there is none. A code or a status of an outer
 * cause counts if the inner ones have none.
 */
export function originOf(cause: unknown): ErrorOrigin | undefined {
  if (cause === undefined) return undefined;
  const chain = chainOf(cause);
  const innermost = chain.at(-1);
  if (!(innermost instanceof Error)) return { name: kindOf(innermost) };
  const code = chain.map(codeIn).findLast((each) => each !== undefined);
  const status = chain.map(statusIn).findLast((each) => each !== undefined);
  const frames = framesOf(innermost);
  return {
    name: innermost.constructor.name.slice(0, LONGEST_FRAME),
    ...(code === undefined ? {} : { code }),
    ...(status === undefined ? {} : { status }),
    ...(frames.length === 0 ? {} : { frames }),
  };
}

/** The causes, the outermost first. A chain may be a circle. */
function chainOf(cause: unknown): readonly unknown[] {
  const chain = [cause];
  for (let inner = innerCause(cause); inner !== undefined; inner = innerCause(inner)) {
    if (chain.length === MOST_CAUSES || chain.includes(inner)) break;
    chain.push(inner);
  }
  return chain;
}

function innerCause(thrown: unknown): unknown {
  return thrown instanceof Error ? thrown.cause : undefined;
}

function codeIn(thrown: unknown): string | undefined {
  const code = fieldOf(thrown, "code");
  return typeof code === "string" && CODE.test(code) ? code : undefined;
}

/** Clients of HTTP keep the status under these names: axios, got, and the AWS SDK. */
function statusIn(thrown: unknown): number | undefined {
  const statuses = [
    ...["status", "statusCode"].map((name) => fieldOf(thrown, name)),
    fieldOf(fieldOf(thrown, "response"), "status"),
    fieldOf(fieldOf(thrown, "$metadata"), "httpStatusCode"),
  ];
  return statuses.filter((each) => typeof each === "number").find((each) => each >= 100 && each <= 599);
}

function fieldOf(value: unknown, name: string): unknown {
  try {
    return typeof value === "object" && value !== null
      ? (value as Readonly<Record<string, unknown>>)[name]
      : undefined;
  } catch {
    // A getter of the user's error.
    return undefined;
  }
}

/**
 * Returns the frames in the user's own code, or the innermost ones if there are none. The message
 * comes before the frames and may have lines of any form, so it is cut off first.
 */
function framesOf({ message, stack }: Error): readonly string[] {
  if (typeof stack !== "string") return [];
  const at = stack.indexOf(message);
  if (at < 0) return [];
  const frames = stack
    .slice(at + message.length)
    .split("\n")
    .flatMap((line) => FRAME.exec(line)?.[1]?.slice(0, LONGEST_FRAME) ?? []);
  const own = frames.filter((frame) => !FOREIGN.test(frame));
  return (own.length === 0 ? frames : own).slice(0, MOST_FRAMES);
}
