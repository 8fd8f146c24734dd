import { MillraceError } from "../../contract/errors.ts";
import { kindOf } from "../../contract/json.ts";
import { parseLinks } from "../kit/http/response-headers.ts";
import { type JsonPath, pathSteps, showPath, valueAt } from "../kit/json-path.ts";
import { similarPath } from "../kit/similar-path.ts";
import { type AnswerParts, AnswerReader } from "./answer-parts.ts";
import type { Answer, RestClient } from "./client.ts";
import type { SourceOptions } from "./options.ts";
import { pagesLoop } from "./page-errors.ts";
import { after, keyOf, type PageRef, refOf } from "./page-ref.ts";
import { endsOn, type LinkedEnd } from "./pagination.ts";
import { checkNoMore, signOfPages } from "./whole-list.ts";

/** A page that was requested, and what its answer says. */
export interface AnsweredPage extends Omit<AnswerParts, "records"> {
  readonly ref: PageRef;
  /** The number of rows before the page, if it is known. */
  readonly before: number | undefined;
  /** The number of rows in the page. */
  readonly rows: number;
  readonly answer: Answer;
  /** The request without secrets, such as `GET https://…`, for messages. */
  readonly name: string;
}

/** How an answer leads to the next page: by a reference, by an explicit end, or not at all. */
type Lead = { readonly ref: PageRef | undefined } | MissingLead;

interface MissingLead {
  readonly missing: string;
  readonly hint: string;
  /** False if the answer has it under a similar name, so that it is no end by any option. */
  readonly mayEnd: boolean;
}

/** The relations that only the pages of a list have. */
const LIST_RELATIONS = ["first", "prev", "previous", "last", "current", "self"];

/**
 * Returns the page after a page, or `undefined` if the list is proven to end there. Errors:
 * `LIST_END_UNCLEAR`, `PAGES_LOOP`, `LINK_TO_OTHER_ORIGIN`.
 */
export function pageAfter(
  page: AnsweredPage,
  options: SourceOptions,
  client: RestClient,
): PageRef | undefined {
  const goesOn = said(page, options);
  if (goesOn === false) return undefined;
  switch (options.pagination.type) {
    case "none":
      if (goesOn === true) throw unclear(page, "there are more rows, but pagination is `none`", HOW_TO_PAGE);
      checkNoMore(page, options.pagination, { rows: after(page, page.rows) });
      return undefined;
    case "offset":
    case "page":
      return countedPage(page, options, goesOn === true);
    default:
      return linkedPage(page, leadOf(page, options, client), options, goesOn === true);
  }
}

const HOW_TO_PAGE = "Set pagination to how the API splits its list into pages.";

/** What a path of `pagination` says: the list goes on, or ends with this page. */
interface Claim {
  readonly path: JsonPath;
  readonly goesOn: boolean;
}

/**
 * Returns whether the list goes on by the paths of the options, or `undefined` if none is set.
 * Error: `LIST_END_UNCLEAR` if they contradict each other.
 */
function said(page: AnsweredPage, options: SourceOptions): boolean | undefined {
  const { pagination } = options;
  const claims: Claim[] = [...claimOfTotal(page, options), ...claimOfPages(page, options)];
  if (page.hasMore !== undefined) {
    claims.push({ path: pagination.hasMorePath ?? pagination.isLastPath ?? "", goesOn: page.hasMore });
  }
  const [first] = claims;
  const other = claims.find(({ goesOn }) => goesOn !== first?.goesOn);
  if (first === undefined || other === undefined) return first?.goesOn;
  const words = ({ path, goesOn }: Claim): string =>
    `by ${showPath(path)} the list ${goesOn ? "goes on" : "ends"}`;
  throw unclear(
    page,
    `${words(first)}, and ${words(other)}`,
    "Remove the path from pagination whose value means something else. If the list changes while it is read, try again.",
    true,
  );
}

function claimOfTotal(page: AnsweredPage, { pagination }: SourceOptions): Claim[] {
  const { before, rows, total } = page;
  if (total === undefined || before === undefined) return [];
  if (before + rows > total) throw beyond(page, `${before + rows} rows`, total, "totalPath");
  return [{ path: pagination.totalPath ?? "", goesOn: before + rows < total }];
}

function claimOfPages(page: AnsweredPage, { pagination, pageSize }: SourceOptions): Claim[] {
  const { rows, totalPages } = page;
  if (totalPages === undefined || pagination.type !== "page") return [];
  const read = Number(page.ref ?? 0) / pageSize + 1;
  if (rows > 0 && read > totalPages) throw beyond(page, `${read} pages`, totalPages, "totalPagesPath");
  return [{ path: pagination.totalPagesPath ?? "", goesOn: read < totalPages }];
}

function beyond(page: AnsweredPage, read: string, total: number, option: string): MillraceError {
  return unclear(
    page,
    `${read} have come, but there are only ${total} by ${option}`,
    `If ${option} does not count the whole list, remove it. If the list changes while it is read, try again.`,
    true,
  );
}

function countedPage(page: AnsweredPage, options: SourceOptions, goesOn: boolean): PageRef | undefined {
  const { pagination, pageSize } = options;
  const { rows } = page;
  const at = Number(page.ref ?? 0);
  if (!goesOn && rows === 0) return undefined;
  if (!goesOn && rows < pageSize && endsOn(pagination, "short")) {
    checkNoMore(page, pagination, { rows: after(page, page.rows) });
    return undefined;
  }
  if (rows > 0) return at + (pagination.type === "page" ? pageSize : rows);
  // A numbered page may be empty if the API filters after it has cut the pages.
  if (pagination.type === "page" && page.hasMore === true) return at + pageSize;
  throw unclear(
    page,
    "the page has no rows, but the list goes on by the paths in pagination",
    "If the list changes while it is read, try again. Else remove the path whose value means something else, or ask who runs the API for a larger limit.",
    true,
  );
}

function leadOf(page: AnsweredPage, options: SourceOptions, client: RestClient): Lead {
  const { pagination } = options;
  const { answer } = page;
  if (page.isBare) return { ref: undefined };
  if (pagination.type === "link") return linkOf(page, client);
  if (pagination.type !== "cursor" && pagination.type !== "next") return { ref: undefined };
  const [path, option] =
    pagination.type === "cursor" ? [pagination.cursorPath, "cursorPath"] : [pagination.nextPath, "nextPath"];
  const value = valueAt(answer.body, path);
  if (value === undefined) return missingLead(page, options, path, option);
  if (pagination.type === "cursor") return { ref: refOf(value, (text) => client.storedCursor(text)) };
  if (value === null || value === "" || value === false) return { ref: undefined };
  if (typeof value === "string") return { ref: client.storedLink(value, answer) };
  throw unclear(
    page,
    `${showPath(path)} is ${kindOf(value)}, not a URL`,
    'Correct nextPath. A cursor is read by type: "cursor".',
  );
}

function missingLead(page: AnsweredPage, options: SourceOptions, path: JsonPath, option: string): Lead {
  const { answer } = page;
  const keys = new AnswerReader(options, answer, page.name).keys(path);
  const missing = `${showPath(path)} is not in the answer, although ${option} names it; ${keys}`;
  const similar = similarPath(answer.body, pathSteps(path));
  if (similar !== undefined)
    return { missing, mayEnd: false, hint: `Set ${option}: ${showPath(similar)} in pagination.` };
  const sign =
    options.pagination.hasMorePath === null ? undefined : signOfPages(answer, after(page, page.rows));
  if (sign !== undefined)
    return { missing, mayEnd: true, hint: `Correct ${option}: the answer has ${sign}.` };
  const likeOData = /odata/i.test(String(path)) ? ", as OData does" : "";
  return {
    missing,
    mayEnd: true,
    hint: `If the API leaves it out on the last page${likeOData}, set \`endOn: "missing"\` in pagination; if an answer says whether pages follow, set hasMorePath. Else correct ${option}.`,
  };
}

function linkOf(page: AnsweredPage, client: RestClient): Lead {
  const { answer } = page;
  const hint =
    'If the API sends none when there is one page only, as GitHub does, set `endOn: "missing"` in pagination. Else check with curl -i how it leads to the next page.';
  if (answer.link === null || answer.link.trim() === "")
    return { missing: "there is no Link header", mayEnd: true, hint };
  const { next, relations, isComplete } = parseLinks(answer.link);
  if (next !== undefined) return { ref: client.storedLink(next, answer) };
  if (!isComplete) {
    const ask = "Look at it with curl -i, and ask who runs the API.";
    throw unclear(page, "the Link header is not a list of links (RFC 8288)", ask);
  }
  if (LIST_RELATIONS.some((relation) => relations.has(relation))) return { ref: undefined };
  return { missing: "the Link header has no link to another page of the list", mayEnd: true, hint };
}

function linkedPage(
  page: AnsweredPage,
  lead: Lead,
  { pagination }: SourceOptions,
  goesOn: boolean,
): PageRef | undefined {
  const ends = (end: LinkedEnd): boolean => !goesOn && endsOn(pagination, end);
  const isEmptyEnd = page.rows === 0 && !goesOn;
  if ("missing" in lead) {
    const isEnd = isEmptyEnd || ends("missing");
    if (isEnd && !isEmptyEnd && lead.mayEnd) checkNoMore(page, pagination, { rows: after(page, page.rows) });
    return endOf(page, lead, { isEnd, goesOn });
  }
  if (lead.ref === undefined) {
    if (!goesOn) return undefined;
    const problem = "there is no next page, but the list goes on by the paths in pagination";
    throw unclear(page, problem, CONTRADICTED, true);
  }
  if (isEmptyEnd && ends("empty")) return undefined;
  if (keyOf(lead.ref) !== keyOf(page.ref)) return lead.ref;
  if (isEmptyEnd) return undefined;
  if (ends("repeated")) {
    checkNoMore(page, pagination, { isRepeated: true });
    return undefined;
  }
  throw pagesLoop(page, "leads to itself", { pagination });
}

/** Returns `undefined` if a missing lead is the end. Error: `LIST_END_UNCLEAR`. */
function endOf(
  page: AnsweredPage,
  { missing, hint, mayEnd }: MissingLead,
  { isEnd, goesOn }: { readonly isEnd: boolean; readonly goesOn: boolean },
): undefined {
  if (isEnd && mayEnd) return undefined;
  throw unclear(page, missing, goesOn ? CONTRADICTED : hint);
}

const CONTRADICTED =
  "If the list changes while it is read, try again. Else correct hasMorePath, isLastPath, totalPath, or the path to the next page.";

function unclear(page: AnsweredPage, problem: string, hint: string, retryable = false): MillraceError {
  return new MillraceError("LIST_END_UNCLEAR", `${page.name}: ${problem}`, {
    where: { url: page.answer.url },
    hint,
    retryable,
  });
}
