import { MillraceError } from "../../contract/errors.ts";
import { isPlainObject } from "../../contract/json.ts";
import type { Answer } from "./client.ts";
import { parseLinks } from "./response-headers.ts";

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

const NEXT = /^(@odata\.)?(next|(has|is)_?(more|next)).*$/i;
const TOTAL = /^(@odata\.)?(count|total)|(_count|Count|_total|Total)$/;

/** Returns what in an answer says that there are rows in other pages, or `undefined`. */
export function signOfPages(answer: Answer, rows: number): string | undefined {
  if (parseLinks(answer.link ?? "").next !== undefined) return "a Link header to a next page";
  const { body } = answer;
  if (!isPlainObject(body)) return undefined;
  const nested = Object.values(body).filter(isPlainObject);
  for (const [name, value] of [body, ...nested].flatMap((part) => Object.entries(part))) {
    const leads = NEXT.test(name) && Boolean(value);
    const counts = TOTAL.test(name) && typeof value === "number" && value > rows;
    if (leads || counts) return `"${name}", which tells of more rows`;
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
