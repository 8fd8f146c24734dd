/** A wait that is longer than any limit of ours: about 31 years in milliseconds. */
const ENDLESS = 1e12;

/**
 * Returns the milliseconds to wait from a `Retry-After` header, which has seconds or a date (RFC
 * 9110). A date is compared with the response's own `Date` header, if it has one, because the clock
 * of this machine may be wrong. Returns `undefined` for any other text.
 */
export function parseRetryAfter(
  header: string | null,
  sentAt: string | null,
  now: number,
): number | undefined {
  const text = header?.trim() ?? "";
  if (/^\d+(?:\.\d*)?$/.test(text)) return Math.min(Number(text) * 1000, ENDLESS);
  const date = parseHttpDate(text);
  return date === undefined ? undefined : Math.max(0, date - (parseHttpDate(sentAt) ?? now));
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/** The three forms of RFC 9110. The last two are obsolete, but servers still send them. */
const DATES: readonly RegExp[] = [
  /^[A-Z][a-z]{2}, (?<day>\d\d) (?<month>[A-Z][a-z]{2}) (?<year>\d{4}) (?<time>\d\d:\d\d:\d\d) (?:GMT|UTC)$/,
  /^[A-Z][a-z]{5,8}, (?<day>\d\d)-(?<month>[A-Z][a-z]{2})-(?<year>\d\d) (?<time>\d\d:\d\d:\d\d) GMT$/,
  /^[A-Z][a-z]{2} (?<month>[A-Z][a-z]{2}) (?<day>[ \d]\d) (?<time>\d\d:\d\d:\d\d) (?<year>\d{4})$/,
];

/**
 * Returns the epoch milliseconds of a date in a header, or `undefined` if it has none of the three
 * forms. `Date.parse` cannot be used: it reads "-5" as a month, and the third form in local time.
 */
export function parseHttpDate(header: string | null): number | undefined {
  for (const form of DATES) {
    const { day = "", month = "", year = "", time = "" } = form.exec(header?.trim() ?? "")?.groups ?? {};
    const index = MONTHS.indexOf(month);
    if (index < 0) continue;
    const digits = year.length === 2 ? `${Number(year) < 70 ? 20 : 19}${year}` : year;
    const date = `${digits}-${String(index + 1).padStart(2, "0")}-${day.trim().padStart(2, "0")}T${time}Z`;
    const milliseconds = Date.parse(date);
    return Number.isNaN(milliseconds) ? undefined : milliseconds;
  }
  return undefined;
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
