import { readFileSync } from "node:fs";
import { optional } from "../shared/contract/optional.ts";
import { olderLog } from "./run-log.ts";

/** What the log of a run has of an error, and the ledger has not. */
export interface LoggedError {
  /** When it was logged, as ISO 8601. */
  readonly time: string;
  /** Message and stack of the user's own error. */
  readonly cause?: string;
  /** The value that did not fit, or what an API answered. */
  readonly found?: string;
}

/** An entry of the log, as far as it is looked at. */
interface Entry {
  readonly time?: unknown;
  readonly type?: unknown;
  readonly where?: { readonly batchId?: unknown };
  readonly error?: { readonly where?: { readonly batchId?: unknown } };
  readonly cause?: unknown;
  readonly found?: unknown;
}

/**
 * Returns the newest error of a batch in the log at `path`, or `undefined` if the log has none or
 * cannot be read.
 */
export function lastErrorOf(path: string, batchId: number): LoggedError | undefined {
  for (const file of [path, olderLog(path)]) {
    const found = linesOf(file)
      .toReversed()
      .find((line) => isErrorOf(entryOf(line), batchId));
    if (found !== undefined) return detailsOf(entryOf(found) ?? {});
  }
  return undefined;
}

function linesOf(file: string): readonly string[] {
  try {
    return readFileSync(file, "utf8").split("\n");
  } catch {
    return [];
  }
}

/** The last line may be cut, if the run was killed. */
function entryOf(line: string): Entry | undefined {
  try {
    return JSON.parse(line) as Entry;
  } catch {
    return undefined;
  }
}

function isErrorOf(entry: Entry | undefined, batchId: number): boolean {
  if (entry?.type === "error") return entry.where?.batchId === batchId;
  return entry?.type === "retry" && entry.error?.where?.batchId === batchId;
}

function detailsOf({ time, cause, found }: Entry): LoggedError {
  const text = (value: unknown) => (typeof value === "string" ? value : undefined);
  return {
    time: String(time),
    ...optional("cause", text(cause)),
    ...optional("found", text(found)),
  };
}
