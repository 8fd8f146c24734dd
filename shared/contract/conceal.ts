/*
 * Secrets are replaced by their names in what is stored or shown: in links and cursors of APIs, in
 * answers that repeat them, and in the log of a run.
 */

/** A secret of the options, and the name under which it is written in what is stored. */
export interface NamedSecret {
  /** `env:TOKEN` for an environment variable. */
  readonly name: string;
  readonly value: string;
}

/** Shorter secrets are replaced only between separators: they would be found everywhere. */
const SHORTEST_PART = 4;

/**
 * Replaces secrets in a text for people by `{env:NAME}`: as they are, percent-encoded, escaped as
 * in JSON and HTML, and in base64. The secrets cannot be put back.
 */
export function concealSecrets(text: string, secrets: readonly NamedSecret[]): string {
  const patternOf = (value: string): string =>
    [Array.from(value, anyFormPattern).join(""), ...base64Patterns(value)].join("|");
  return replaceSecrets(text, secrets, patternOf, ["(?<![\\p{L}\\p{N}])", "(?![\\p{L}\\p{N}])"]);
}

const HTML_NAMES: Readonly<Record<string, string>> = { "&": "amp", "<": "lt", ">": "gt", '"': "quot" };

/** Returns a pattern for a character in any form in which an answer may repeat it. */
function anyFormPattern(character: string): string {
  const units = Array.from({ length: character.length }, (_, i) => hex(character.charCodeAt(i), 4));
  const code = character.codePointAt(0) ?? 0;
  const name = HTML_NAMES[character];
  return `(?:${[
    encodedPattern(character),
    `\\\\${escaped(character)}`,
    units.map((digits) => `\\\\u${digits}`).join(""),
    `&#0*${code};`,
    `&#[xX]0*${hex(code, 1)};`,
    ...(name === undefined ? [] : [`&${name};`]),
  ].join("|")})`;
}

/** Returns a pattern for a number in hexadecimal digits of either case. */
function hex(value: number, digits: number): string {
  return value
    .toString(16)
    .padStart(digits, "0")
    .replace(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`);
}

/**
 * Returns patterns for a secret inside a longer text in base64, such as `user:secret`. There are
 * three, because the text before it shifts it by 0, 1 or 2 bytes. The characters at both ends that
 * also depend on other bytes are left out.
 */
function base64Patterns(value: string): string[] {
  const bytes = Buffer.from(value);
  if (bytes.length < SHORTEST_PART) return [];
  return [0, 1, 2].map((shift) => {
    const encoded = Buffer.concat([Buffer.alloc(shift), bytes]).toString("base64url");
    const end = Math.floor(((shift + bytes.length) * 8) / 6);
    const whole = encoded.slice(Math.ceil((shift * 8) / 6), end);
    return Array.from(whole, (digit) =>
      digit === "-" ? "(?:[-+]|%2[bB])" : digit === "_" ? "(?:[_/]|%2[fF]|\\\\/)" : digit,
    ).join("");
  });
}

/**
 * Replaces all secrets in one pass, so that no secret is looked for in a placeholder. `before` and
 * `after` are the borders of a short secret.
 */
export function replaceSecrets(
  text: string,
  secrets: readonly NamedSecret[],
  patternOf: (value: string) => string,
  [before, after]: readonly [string, string] = ["(?<=^|[/?&=])", "(?=[/?&=]|$)"],
): string {
  const longestFirst = secrets
    .filter(({ value }) => value !== "")
    .toSorted((a, b) => b.value.length - a.value.length);
  if (longestFirst.length === 0) return text;
  const groups = longestFirst.map(({ value }) =>
    value.length < SHORTEST_PART ? `${before}(${patternOf(value)})${after}` : `(${patternOf(value)})`,
  );
  return text.replace(new RegExp(groups.join("|"), "gu"), (match, ...found: unknown[]) => {
    const secret = longestFirst.find((_, i) => found[i] !== undefined);
    return secret === undefined ? match : `{${secret.name}}`;
  });
}

/** Escapes a text for a regular expression. */
export function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

/** Returns a pattern for a character as it is, or percent-encoded. */
export function encodedPattern(character: string): string {
  const bytes = [...Buffer.from(character)].map((byte) => {
    const digits = byte.toString(16).padStart(2, "0");
    return `%${digits.replace(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`)}`;
  });
  const plus = character === " " ? "|\\+" : "";
  return `(?:${escaped(character)}|${bytes.join("")}${plus})`;
}

/** Matches a name which says that the value is a secret. */
export const SECRET_NAME: RegExp =
  /token|secret|signature|password|credential|cookie|api[-_]?key|session|\bsig|\bauth|\bjwt/i;
/** Matches such a secret in a text: `"token":"…"` or `token=…`. */
const SECRET_MEMBER = new RegExp(
  `(\\b[\\w-]*(?:${SECRET_NAME.source})[\\w-]*(?:"\\s*:\\s*"|=))[^\\s"&,;<>]+`,
  "gi",
);

/** Replaces the values of members and parameters whose names say that they are secrets. */
export function concealMembers(text: string): string {
  return text.replace(SECRET_MEMBER, "$1…");
}
