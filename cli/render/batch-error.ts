import type { LoggedError } from "../../local/read-log.ts";
import type { ErrorRecord } from "../../shared/contract/errors.ts";
import { describePlace } from "./error.ts";
import { printable } from "./terminal.ts";

/** How many lines of a message of the user's own error are shown. */
const MESSAGE_LINES = 6;

/**
 * Formats the error of a batch as names and values: what, where, the cause's own code, the frames
 * of the user's code, what only the log has, and what to do.
 */
export function errorFields(error: ErrorRecord, logged: LoggedError | undefined): [string, string][] {
  const { code, message, where, origin, hint } = error;
  const fields: [string, string][] = [["error", `${code}: ${printable(message)}`]];
  // Pipeline and batch are in the first line.
  const { pipeline: _pipeline, batchId: _batchId, ...place } = where;
  const places = describePlace(place);
  if (places !== "") fields.push(["where", places]);
  if (origin !== undefined) {
    const status = origin.status === undefined ? undefined : `status ${origin.status}`;
    fields.push([
      "cause",
      [origin.name, origin.code, status].filter(Boolean).map(String).map(printable).join(", "),
    ]);
  }
  for (const [i, line] of messageOf(logged).entries())
    fields.push([i === 0 ? "message" : "", printable(line)]);
  if (logged?.found !== undefined) fields.push(["found", printable(logged.found)]);
  for (const [i, frame] of (origin?.frames ?? []).entries())
    fields.push([i === 0 ? "at" : "", printable(frame)]);
  for (const later of error.also ?? []) fields.push(["later", `${later.code}: ${printable(later.message)}`]);
  if (hint !== undefined) fields.push(["do", printable(hint)]);
  return fields;
}

/** Returns the lines of the cause before its stack. */
function messageOf(logged: LoggedError | undefined): readonly string[] {
  const lines = logged?.cause?.split("\n") ?? [];
  const stack = lines.findIndex((line) => /^ {4}at .*:\d+:\d+\)?$/.test(line));
  return lines.slice(0, stack < 0 ? MESSAGE_LINES : Math.min(stack, MESSAGE_LINES));
}
