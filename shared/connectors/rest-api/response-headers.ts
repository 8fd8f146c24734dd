/**
 * Returns the milliseconds to wait from a `Retry-After` header, which has seconds or a date (RFC
 * 9110). A date is compared with the response's own `Date` header, if it has one, because the clock
 * of this machine may be wrong.
 */
export function parseRetryAfter(
  header: string | null,
  sentAt: string | null,
  now: number,
): number | undefined {
  if (header === null) return undefined;
  if (/^\s*\d+\s*$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  const sent = Date.parse(sentAt ?? "");
  return Number.isNaN(date) ? undefined : Math.max(0, date - (Number.isNaN(sent) ? now : sent));
}

const LINK = /[\s,]*<([^>]*)>/y;
const PARAMETER = /\s*;\s*([^\s=;,"]+)\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^\s,;"]*))?/y;

/** The links of a `Link` header. */
export interface Links {
  /** The target of `rel="next"`. */
  readonly next: string | undefined;
  /** All relations, in lower case. */
  readonly relations: ReadonlySet<string>;
  /** Whether the text is a list of links up to its end. */
  readonly isComplete: boolean;
}

/**
 * Parses a `Link` header (RFC 8288). We parse it ourselves because it takes few lines, and because
 * a comma inside a URL or quotes must not end a link; otherwise the next page would be lost.
 */
export function parseLinks(text: string): Links {
  let position = 0;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = position;
    const found = pattern.exec(text);
    if (found !== null) position = pattern.lastIndex;
    return found;
  };
  let next: string | undefined;
  const relations = new Set<string>();
  for (let link = match(LINK); link !== null; link = match(LINK)) {
    let rel: string | undefined;
    for (let parameter = match(PARAMETER); parameter !== null; parameter = match(PARAMETER)) {
      // If a parameter is repeated, the first one counts (RFC 8288).
      if (parameter[1]?.toLowerCase() === "rel") rel ??= (parameter[2] ?? "").replace(/^"|"$/g, "");
    }
    const own = rel?.toLowerCase().split(/\s+/) ?? [];
    if (own.includes("next")) next ??= link[1];
    for (const relation of own) relations.add(relation);
  }
  return { next, relations, isComplete: /^[\s,;]*$/.test(text.slice(position)) };
}
