/** A secret of the options, and the name under which it is written in what is stored. */
export interface NamedSecret {
  /** `env:TOKEN` for an environment variable. */
  readonly name: string;
  readonly value: string;
}

/** Shorter secrets are replaced only between separators: they would be found everywhere. */
const SHORTEST_PART = 4;

/** Replaces secrets in a text, such as a cursor, by `{env:NAME}`. */
export function hideSecrets(text: string, secrets: readonly NamedSecret[]): string {
  return replaceSecrets(text, secrets, escaped);
}

/**
 * Returns path and query of a URL with secrets replaced by `{env:NAME}`, in whichever way the URL
 * encodes them. The URL's own braces are encoded, so that only placeholders have some.
 */
export function hideInUrl({ pathname, search }: URL, secrets: readonly NamedSecret[]): string {
  const text = `${pathname}${search}`.replaceAll("{", "%7B").replaceAll("}", "%7D");
  return replaceSecrets(text, secrets, (value) => Array.from(value, encodedPattern).join(""));
}

/** Puts secrets back in the place of `{env:NAME}`. Other names stay as they are. */
export function revealSecrets(
  text: string,
  secrets: readonly NamedSecret[],
  encode: (value: string) => string = (value) => value,
): string {
  return text.replace(/\{((?:env|url):[^{}]+)\}/g, (placeholder, name) => {
    const secret = secrets.find((each) => each.name === name);
    return secret === undefined ? placeholder : encode(secret.value);
  });
}

/** Replaces all secrets in one pass, so that no secret is looked for in a placeholder. */
function replaceSecrets(
  text: string,
  secrets: readonly NamedSecret[],
  patternOf: (value: string) => string,
): string {
  const longestFirst = secrets
    .filter(({ value }) => value !== "")
    .toSorted((a, b) => b.value.length - a.value.length);
  if (longestFirst.length === 0) return text;
  const groups = longestFirst.map(({ value }) =>
    value.length < SHORTEST_PART ? `(?<=^|[/?&=])(${patternOf(value)})(?=[/?&=]|$)` : `(${patternOf(value)})`,
  );
  return text.replace(new RegExp(groups.join("|"), "gu"), (match, ...found: unknown[]) => {
    const secret = longestFirst.find((_, i) => found[i] !== undefined);
    return secret === undefined ? match : `{${secret.name}}`;
  });
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

/** Returns a pattern for a character as it is, or percent-encoded. */
function encodedPattern(character: string): string {
  const bytes = [...Buffer.from(character)].map((byte) => {
    const digits = byte.toString(16).padStart(2, "0");
    return `%${digits.replace(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`)}`;
  });
  const plus = character === " " ? "|\\+" : "";
  return `(?:${escaped(character)}|${bytes.join("")}${plus})`;
}
