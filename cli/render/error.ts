import { causeOf, type ErrorLocation, type ErrorParts, MillraceError } from "../../shared/contract/errors.ts";
import { adviceFor, systemCodeOf } from "../../shared/platform/embedded/advice.ts";
import { printable, styled, type Text } from "./terminal.ts";

const CAUSE_LINES = 6;

const PLACES: readonly (readonly [keyof ErrorLocation, string])[] = [
  ["pipeline", "pipeline"],
  ["batchId", "batch"],
  ["partition", "partition"],
  ["attempt", "batch attempt"],
  ["attemptNumber", "task attempt"],
  ["row", "row"],
  ["step", "step"],
  ["field", "field"],
  ["url", "URL"],
  ["status", "status"],
  ["path", "path"],
];

/** Formats an error for people: message, value found, location, hint and cause. */
export function formatError(thrown: unknown): Text {
  const error = known(thrown);
  const where = describePlace(error.where);
  const lines = [`: ${error.message.replaceAll("\n", "\n  ")}`];
  if (error.found !== undefined) lines.push(`  found: ${printable(error.found)}`);
  if (where !== "") lines.push(`  where: ${where}`);
  if (error.hint !== undefined) lines.push(`  do:    ${printable(error.hint)}`);
  const later = error.also.map((also) => [
    `\n  later: ${also.code}: ${printable(also.message)}`,
    causeText(also),
  ]);
  return [styled("red", `error ${error.code}`), lines.join("\n"), causeText(error), ...later];
}

/** Formats where an error happened: `partition 3, row 17`. */
export function describePlace(where: ErrorLocation): string {
  const places = PLACES.flatMap(([key, name]) => (where[key] === undefined ? [] : [`${name} ${where[key]}`]));
  return printable(places.join(", "));
}

/** Returns an error of Millrace for any thrown value, with advice if the system is its cause. */
function known(thrown: unknown): MillraceError {
  if (MillraceError.is(thrown)) return thrown;
  const code = systemCodeOf(thrown);
  const message = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
  const hint = "This is a defect of Millrace: report it, with the lines below.";
  return new MillraceError("UNEXPECTED", message, {
    hint: code === undefined ? hint : adviceFor(code).hint,
    cause: thrown,
  });
}

function causeText(error: ErrorParts): Text {
  const cause = causeOf(error)?.split("\n").slice(0, CAUSE_LINES).map(printable).join("\n    ");
  return cause === undefined ? "" : ["\n", styled("dim", `    ${cause}`)];
}

/** Returns an error in the form that `--json` prints. */
export function errorEvent(thrown: unknown): object {
  const error = known(thrown);
  const cause = causeOf(error)?.split("\n")[0];
  return {
    type: "error",
    ...error.toRecord(),
    ...(error.found === undefined ? {} : { found: error.found }),
    ...(cause === undefined ? {} : { cause }),
  };
}
