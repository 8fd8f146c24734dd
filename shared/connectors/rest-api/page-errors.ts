import { MillraceError } from "../../contract/errors.ts";
import type { Answer } from "./client.ts";
import { endsOn, type ParsedPagination } from "./pagination.ts";

interface NamedPage {
  readonly name: string;
  readonly answer: Pick<Answer, "url">;
}

/**
 * The error of a list that does not advance. `problem` follows the request in the message.
 * `isFirst` says that the first page came again, which is rather a wrong parameter than the end of
 * the list.
 */
export function pagesLoop(
  page: NamedPage,
  problem: string,
  { pagination, isFirst = false }: { readonly pagination: ParsedPagination; readonly isFirst?: boolean },
): MillraceError {
  return new MillraceError("PAGES_LOOP", `${page.name} ${problem}`, {
    where: { url: page.answer.url },
    hint: hintFor(pagination, isFirst),
  });
}

function hintFor(pagination: ParsedPagination, isFirst: boolean): string {
  const repeats =
    isFirst || endsOn(pagination, "repeated")
      ? ""
      : 'If the API repeats its last page or cursor at the end of the list, set `endOn: "repeated"` in pagination. ';
  const equal = "A list that may have equal pages needs allowRepeats.";
  const whole = isFirst ? ' If each answer has the whole list, set `pagination: { type: "none" }`.' : "";
  switch (pagination.type) {
    case "offset":
      return `${repeats}If the API does not know the parameter "${pagination.offsetParam}", set offsetParam to its name.${whole} ${equal}`;
    case "page":
      return `${repeats}If the API does not know the parameter "${pagination.pageParam}", set pageParam to its name.${whole} ${equal}`;
    case "cursor":
      return `If the API does not know the parameter "${pagination.cursorParam}", set cursorParam to its name; if an answer says whether pages follow, set hasMorePath. ${repeats}${equal}`;
    default:
      return `${repeats}${isFirst ? "The API may lead every page to itself: look at two answers with curl. " : ""}If an answer says whether pages follow, set hasMorePath. ${equal}`;
  }
}

/** The error of a list whose rows changed their places while it was read. */
export function listMoved(page: NamedPage, problem: string, hint: string): MillraceError {
  return new MillraceError("LIST_MOVED", `${page.name}: ${problem}`, {
    where: { url: page.answer.url },
    retryable: true,
    hint,
  });
}
