import { closestMatch } from "leven";
import { ValueMismatch } from "./builder.ts";

/** Names that an error shows at most, and characters of each. */
const MAX_NAMES = 5;
const MAX_LENGTH = 40;

/** The error for an object without the field `name`, which may be there under a name of its own: `the row has "user_id"`. */
export function missingField(
  expected: string,
  noun: string,
  object: object,
  name: string,
  names: readonly string[],
): ValueMismatch {
  const others = Object.keys(object).filter((key) => !names.includes(key));
  const meant = closestTo(name, others);
  const shown = meant === undefined ? others : [meant];
  if (shown.length === 0) return new ValueMismatch(expected, undefined, "nothing", `.${name}`);
  const more = shown.length > MAX_NAMES ? ` and ${shown.length - MAX_NAMES} more` : "";
  const list = `${shown.slice(0, MAX_NAMES).map(quote).join(", ")}${more}`;
  return new ValueMismatch(expected, undefined, `nothing (the ${noun} has ${list})`, `.${name}`, meant);
}

function closestTo(name: string, others: readonly string[]): string | undefined {
  // user_id, userID and "User Id" are the same name in other houses.
  const plain = (text: string) => text.toLowerCase().replace(/[\W_]/g, "");
  const wanted = plain(name);
  const byPlain = new Map(others.slice(0, 1000).map((other) => [plain(other), other]));
  const maxDistance = Math.floor(wanted.length / 3);
  const closest = closestMatch(wanted, [...byPlain.keys()], { maxDistance });
  return closest === undefined ? undefined : byPlain.get(closest);
}

function quote(name: string): string {
  return JSON.stringify(name.length > MAX_LENGTH ? `${name.slice(0, MAX_LENGTH - 1)}…` : name);
}
