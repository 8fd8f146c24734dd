import * as z from "zod";
import { MillraceError } from "../../contract/errors.ts";

/**
 * Where a value is in JSON: names and indexes joined by dots (`data.items`, `coordinates.0`), in
 * which a name with dots is quoted (`["user.id"].name`); or an array of exactly these names and
 * indexes (`["user.id", "name"]`).
 */
export type JsonPath = string | readonly string[];

/** The schema of a path in a connector's options. */
export const jsonPath: z.ZodType<JsonPath, JsonPath> = z
  .union([z.string(), z.array(z.string()).min(1)], "Must be a path: a string, or an array of strings")
  .refine((path) => typeof path !== "string" || stepsIn(path) !== undefined, {
    error: ({ input }) => syntaxProblem(String(input)),
  });

const QUOTED = /\["(?:[^"\\]|\\.)*"\]/y;
/** An unquoted name ends at a dot or at a quoted name. */
const NAME = /(?:(?!\["|\.).)+/sy;
/** A longer path has too many readings, so its dots are never part of names. */
const MOST_STEPS = 8;

/** Splits the text of a path into its names and indexes. Returns `undefined` for a wrong text. */
function stepsIn(text: string): readonly string[] | undefined {
  const steps: string[] = [];
  for (let at = 0; at < text.length; ) {
    if (at > 0 && text[at] === ".") at++;
    else if (at > 0 && !text.startsWith('["', at)) return undefined;
    const quoted = matchAt(QUOTED, text, at);
    const step = quoted ?? matchAt(NAME, text, at);
    const name = quoted === undefined ? step : parsedName(quoted);
    if (step === undefined || name === undefined || text.endsWith(".")) return undefined;
    steps.push(name);
    at += step.length;
  }
  return steps.length === 0 || /^\$[.[]/.test(text) ? undefined : steps;
}

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

function parsedName(quoted: string): string | undefined {
  try {
    return JSON.parse(quoted.slice(1, -1)) as string;
  } catch {
    return undefined;
  }
}

function syntaxProblem(path: string): string {
  return path.startsWith("$")
    ? 'A path begins with a name, without "$."'
    : 'Must be names and indexes joined by dots; a name that is empty or has dots is quoted, as in ["user.id"].name';
}

/** Returns the names and indexes of a path. */
export function pathSteps(path: JsonPath): readonly string[] {
  return typeof path === "string" ? (stepsIn(path) ?? path.split(".")) : path;
}

/**
 * Returns true if a path means exactly its names: an array, or a text with quoted names. The dots
 * of any other text may also be part of a name.
 */
export function isExact(path: JsonPath): boolean {
  return typeof path !== "string" || path.includes('["');
}

/** Formats a path for a message: `"data.items"` or `["user.id","name"]`. */
export function showPath(path: JsonPath): string {
  return JSON.stringify(path);
}

/**
 * Returns a function that returns the value at a path, or `undefined` if there is none. A text with
 * dots also leads to names that have these dots. Error of that function: `PATH_AMBIGUOUS` if it
 * leads to several values; `field` is its place.
 */
export function pathReader(path: JsonPath, field?: string): (value: unknown) => unknown {
  const steps = pathSteps(path);
  if (isExact(path) || steps.length > MOST_STEPS) return (value) => exactly(value, steps);
  const [split = steps, ...joined] = readings(steps);
  return (value) => {
    let names = split;
    let found = exactly(value, split);
    for (const reading of joined) {
      const other = exactly(value, reading);
      if (other === undefined || other === found) continue;
      if (found !== undefined) throw ambiguous(path, names, reading, field);
      [names, found] = [reading, other];
    }
    return found;
  };
}

/** Returns the value at a path, or `undefined` if there is none. Error: `PATH_AMBIGUOUS`. */
export function valueAt(value: unknown, path: JsonPath): unknown {
  return pathReader(path)(value);
}

function exactly(value: unknown, steps: readonly string[]): unknown {
  let at = value;
  for (const step of steps) {
    if (!has(at, step)) return undefined;
    at = at[step];
  }
  return at;
}

/** Returns all ways to read steps as names, if each dot may be part of a name. */
function readings([first = "", ...rest]: readonly string[]): string[][] {
  if (rest.length === 0) return [[first]];
  const ofRest = readings(rest);
  return [
    ...ofRest.map((names) => [first, ...names]),
    ...ofRest.map(([next, ...names]) => [`${first}.${next}`, ...names]),
  ];
}

function has(value: unknown, name: string): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name);
}

function ambiguous(
  path: JsonPath,
  first: readonly string[],
  other: readonly string[],
  field: string | undefined,
): MillraceError {
  return new MillraceError(
    "PATH_AMBIGUOUS",
    `the path ${showPath(path)} leads to two values: at ${showPath(first)} and at ${showPath(other)}`,
    {
      where: field === undefined ? {} : { field },
      hint: `Write one of these two in the options, as an array, in place of ${showPath(path)}.`,
    },
  );
}

/** Returns an object that contains only `value`, nested under the names of the path. */
export function wrapAt(value: unknown, path: JsonPath): unknown {
  return pathSteps(path).reduceRight<unknown>((inner, name) => ({ [name]: inner }), value);
}

/** Returns the names with which a path may begin: of `user.id`, `user` and `user.id`. */
export function firstNames(path: JsonPath): readonly string[] {
  const steps = pathSteps(path);
  return isExact(path) ? steps.slice(0, 1) : steps.map((_, i) => steps.slice(0, i + 1).join("."));
}
