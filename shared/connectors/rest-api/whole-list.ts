import { MillraceError } from "../../contract/errors.ts";
import { isPlainObject } from "../../contract/json.ts";
import { parseLinks } from "../kit/http/response-headers.ts";
import type { Answer } from "./client.ts";
import type { ParsedPagination } from "./pagination.ts";

/**
 * Parameters by which APIs page their lists, for the second page and a page size of 1. An API that
 * answers with the whole list ignores all of them.
 */
export function pagingParams(rows: number): Readonly<Record<string, number>> {
  const [position, page, size] = [rows, 2, 1];
  return {
    ...named(["offset", "skip", "start", "startAt", "startIndex", "start_index", "from", "$skip"], position),
    ...named(["page", "p", "pageNumber", "page_number", "pageNo", "pageIndex"], page),
    ...named(["limit", "per_page", "perPage", "page_size", "pageSize", "pagesize", "size", "count"], size),
    ...named(["max_results", "maxResults", "top", "$top", "rows", "take", "n"], size),
  };
}

function named(names: readonly string[], value: number): Readonly<Record<string, number>> {
  return Object.fromEntries(names.map((name) => [name, value]));
}

/** Names of values that are true if pages follow. */
const MORE = /^(?:has_?(?:more|next)(?:_?pages?|_?items|_?results)?|is_?truncated|more)$/i;
/** Names of URLs, cursors or numbers of a next page. */
const NEXT =
  /^(?:@odata\.)?next(?:_?(?:page|link|url|uri|href|cursor|token|offset|page_?token|page_?url|page_?cursor))?$/i;
/** Names of the number of rows in the whole list. */
const TOTAL = /^(?:@odata\.)?(?:count|total)$|^total_?(?:count|rows|items|results|records|hits|elements)$/i;
const MAX_DEPTH = 5;

/**
 * Returns what in an answer says that there are more than the `rows` that were read, or
 * `undefined`. Arrays are not searched, because they hold the rows.
 */
export function signOfPages(
  { link, body }: Pick<Answer, "link" | "body">,
  rows = Number.POSITIVE_INFINITY,
): string | undefined {
  if (parseLinks(link ?? "").next !== undefined) return "a Link header to a next page";
  return signIn(body, MAX_DEPTH, (name, value) => {
    const leads = typeof value === "string" ? value !== "" : typeof value === "number" && value > 0;
    const counts = typeof value === "number" && value > rows;
    return saysMore(name, value) || (NEXT.test(name) && leads) || (TOTAL.test(name) && counts);
  });
}

function saysMore(name: string, value: unknown): boolean {
  return MORE.test(name) && value === true;
}

function signIn(
  value: unknown,
  depth: number,
  tells: (name: string, value: unknown) => boolean,
): string | undefined {
  if (!isPlainObject(value) || depth === 0) return undefined;
  for (const [name, each] of Object.entries(value)) {
    if (tells(name, each)) return `"${name}", which tells of more rows`;
    const inside = signIn(each, depth - 1, tells);
    if (inside !== undefined) return inside;
  }
  return undefined;
}

/**
 * Returns the error of a list whose pagination is not set and which does not react to `offset`.
 * `sign` says why the first answer may not be the whole list.
 */
export function paginationUnknown(
  { name, url }: { readonly name: string; readonly url: string },
  sign: string,
): MillraceError {
  return new MillraceError(
    "PAGES_LOOP",
    `${name} has the same rows as the page before, so the API does not know "offset"; but ${sign}`,
    {
      where: { url },
      hint: 'Set pagination to how the API splits its list into pages. If each answer has the whole list: pagination: { type: "none" }.',
    },
  );
}

/** What a list that ends by an option is checked against. */
export interface EndCheck {
  /** The number of rows that were read, if it is known. */
  readonly rows?: number | undefined;
  /** True if the answer leads to a next page in any case, so that only a flag counts. */
  readonly isRepeated?: boolean;
}

/**
 * Checks that an answer after which a list ends by an option does not tell of more rows. Error:
 * `LIST_END_UNCLEAR`.
 */
export function checkNoMore(
  { name, answer }: { readonly name: string; readonly answer: Answer },
  { hasMorePath }: ParsedPagination,
  { rows, isRepeated = false }: EndCheck,
): void {
  if (hasMorePath === null) return;
  const sign = isRepeated ? signIn(answer.body, MAX_DEPTH, saysMore) : signOfPages(answer, rows);
  if (sign === undefined) return;
  throw new MillraceError(
    "LIST_END_UNCLEAR",
    `${name}: the list would end here, but the answer has ${sign}`,
    {
      where: { url: answer.url },
      hint: "Correct the path or the parameter of pagination that leads to the next page. If this name says nothing about pages, set hasMorePath to null.",
    },
  );
}
