import { closestMatch } from "leven";
import { listNames } from "../../contract/errors.ts";
import { ValueMismatch } from "./builder.ts";

/** Maximum number of names in an error message. */
const MAX_NAMES = 5;

/**
 * Returns the error for an object that lacks the field `name`. If the object has a similar name,
 * such as `user_id` for `userId`, the message shows it.
 */
export function missingField(
  expected: string,
  noun: string,
  object: object,
  name: string,
  names: readonly string[],
): ValueMismatch {
  const others = Object.keys(object).filter((key) => !names.includes(key));
  const found = similarName(name, others);
  const shown = found === undefined ? others : [found];
  if (shown.length === 0) return new ValueMismatch(expected, undefined, "nothing", `.${name}`);
  const misnamed = found === undefined ? undefined : { name, found };
  return new ValueMismatch(
    expected,
    undefined,
    `nothing (the ${noun} has ${listNames(shown, MAX_NAMES)})`,
    `.${name}`,
    misnamed,
  );
}

function similarName(name: string, others: readonly string[]): string | undefined {
  // `user_id`, `userID` and `User Id` count as the same name.
  const normalize = (text: string) => text.toLowerCase().replace(/[\W_]/g, "");
  const wanted = normalize(name);
  const byNormalized = new Map(others.slice(0, 1000).map((other) => [normalize(other), other]));
  const maxDistance = Math.floor(wanted.length / 3);
  const known = [...byNormalized.keys()];
  const closest =
    closestMatch(wanted, known, { maxDistance }) ?? known.find((other) => isSwapped(wanted, other));
  return closest === undefined ? undefined : byNormalized.get(closest);
}

/**
 * True if `a` and `b` differ only in two adjacent letters that changed places. The edit distance of
 * `closestMatch` counts this as two mistakes.
 */
function isSwapped(a: string, b: string): boolean {
  const at = Array.from(a).findIndex((letter, i) => letter !== b[i]);
  return at >= 0 && a.slice(0, at) + a.charAt(at + 1) + a.charAt(at) + a.slice(at + 2) === b;
}
