import type { ParsedOptions } from "./options.ts";

/** Which line breaks end a record, and which character must then be in quotes. */
export interface LineBreaks {
  readonly ends: readonly string[];
  /** A line break that is an error outside of quotes, because it may end a record, too. */
  readonly stray?: "\r" | "\n";
}

type Marks = Pick<ParsedOptions, "lineBreak" | "quote" | "escape" | "comment">;

/**
 * Returns the line breaks of a CSV file that begins with `text`. By default the first line break
 * outside of quotes decides: `\r` alone for a file that has `\r`, else `\n` and `\r\n`. Returns
 * `undefined` if the text has no line break yet, or ends in a `\r` that a `\n` may follow.
 */
export function lineBreaksOf(text: string, isWhole: boolean, options: Marks): LineBreaks | undefined {
  const { lineBreak } = options;
  if (lineBreak === "any") return { ends: ["\r\n", "\n", "\r"] };
  if (lineBreak !== "auto") return { ends: [lineBreak] };
  const at = firstBreak(text, options);
  if (at >= 0 && text[at] === "\r" && text[at + 1] !== "\n") {
    if (at + 1 < text.length || isWhole) return { ends: ["\r"], stray: "\n" };
    return undefined;
  }
  return at >= 0 || isWhole ? { ends: ["\r\n", "\n"], stray: "\r" } : undefined;
}

/** Returns the position of the first line break outside of quotes, or -1. */
function firstBreak(text: string, options: Marks): number {
  const { quote, comment } = options;
  const before = options.escape ?? quote;
  const isComment = comment !== undefined && text.startsWith(comment);
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const symbol = text[i];
    if (!quoted && (symbol === "\n" || symbol === "\r")) return i;
    if (isComment || quote === "") continue;
    if (quoted && symbol === before && before !== quote) i++;
    else if (symbol === quote) quoted = !quoted;
  }
  return -1;
}

/** True if the text has a `stray` line break. A `\r` at its end may belong to a `\n`. */
export function hasStray(text: string, stray: LineBreaks["stray"]): boolean {
  if (stray === undefined) return false;
  return stray === "\n" ? text.includes("\n") : /\r(?!\n)/.test(text);
}
