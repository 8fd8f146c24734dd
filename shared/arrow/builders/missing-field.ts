import { closestMatch } from "leven";
import { listNames } from "../../contract/errors.ts";
import { ValueMismatch } from "./builder.ts";

/** Names that an error shows at most. */
const MAX_NAMES = 5;

/**
 * The error for an object without the field `name`, which may be there under a name of its own:
 * `the row has "user_id"`.
 */
export function missingField(
  expected: string,
  noun: string,
  object: object,
  name: string,
  names: readonly string[],
): ValueMismatch {
  const others = Object.keys(object).filter((key) => !names.includes(key));
  const found = closestTo(name, others);
  const shown = found === undefined ? others : [found];
  if (shown.length === 0) return new ValueMismatch(expected, undefined, "nothing", `.${name}`);
  const meant = found === undefined ? undefined : { name, found };
  return new ValueMismatch(
    expected,
    undefined,
    `nothing (the ${noun} has ${listNames(shown, MAX_NAMES)})`,
    `.${name}`,
    meant,
  );
}

function closestTo(name: string, others: readonly string[]): string | undefined {
  // user_id, userID and "User Id" are the same name in other houses.
  const plain = (text: string) => text.toLowerCase().replace(/[\W_]/g, "");
  const wanted = plain(name);
  const byPlain = new Map(others.slice(0, 1000).map((other) => [plain(other), other]));
  const maxDistance = Math.floor(wanted.length / 3);
  const known = [...byPlain.keys()];
  const closest =
    closestMatch(wanted, known, { maxDistance }) ?? known.find((other) => isSwapped(wanted, other));
  return closest === undefined ? undefined : byPlain.get(closest);
}

/** True if two neighbours changed places, which counts as two mistakes elsewhere. */
function isSwapped(a: string, b: string): boolean {
  const at = Array.from(a).findIndex((letter, i) => letter !== b[i]);
  return at >= 0 && a.slice(0, at) + a.charAt(at + 1) + a.charAt(at) + a.slice(at + 2) === b;
}
