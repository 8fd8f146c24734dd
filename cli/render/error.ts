import type { ErrorCode } from "../../shared/contract/error-codes.ts";
import { causeOf, type ErrorLocation, MillraceError } from "../../shared/contract/errors.ts";
import { printable, styled } from "./text.ts";

const CAUSE_LINES = 6;

const PLACES: readonly (readonly [keyof ErrorLocation, string])[] = [
  ["pipeline", "pipeline"],
  ["batchId", "batch"],
  ["partition", "partition"],
  ["attempt", "batch attempt"],
  ["attemptNumber", "task attempt"],
  ["row", "row"],
  ["field", "field"],
  ["url", "URL"],
  ["status", "status"],
  ["path", "path"],
];

/** Formats an error for people: message, value found, location, hint and cause. */
export function formatError(error: unknown, stream: NodeJS.WriteStream): string {
  if (!MillraceError.is(error)) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return `${styled("red", "error", stream)} ${text}`;
  }
  const where = PLACES.flatMap(([key, name]) =>
    error.where[key] === undefined ? [] : [`${name} ${error.where[key]}`],
  );
  const lines = [
    `${styled("red", `error ${error.code}`, stream)}: ${error.message.replaceAll("\n", "\n  ")}`,
  ];
  if (error.found !== undefined) lines.push(`  found: ${error.found}`);
  if (where.length > 0) lines.push(`  where: ${where.join(", ")}`);
  if (error.hint !== undefined) lines.push(`  do:    ${error.hint}`);
  const cause = causeOf(error)?.split("\n").slice(0, CAUSE_LINES).map(printable).join("\n");
  if (cause !== undefined) lines.push(styled("dim", cause.replace(/^/gm, "    "), stream));
  return lines.join("\n");
}

/** Returns an error in the form that `--json` prints. */
export function errorEvent(error: unknown): object {
  if (!MillraceError.is(error)) {
    return {
      type: "error",
      code: "UNEXPECTED" satisfies ErrorCode,
      message: error instanceof Error ? error.message : String(error),
    };
  }
  const cause = causeOf(error)?.split("\n")[0];
  return {
    type: "error",
    ...error.toRecord(),
    ...(error.found === undefined ? {} : { found: error.found }),
    ...(cause === undefined ? {} : { cause }),
  };
}
