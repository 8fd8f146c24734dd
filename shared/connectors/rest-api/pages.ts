import { MillraceError } from "../../contract/errors.ts";
import { type AnswerParts, AnswerReader } from "./answer-parts.ts";
import type { Answer, RestClient } from "./client.ts";
import type { SourceOptions } from "./options.ts";
import { pageAfter } from "./page-end.ts";
import { cursorOf, type PageRef, queryText } from "./page-ref.ts";
import { endsOn } from "./pagination.ts";
import type { BodyQuery } from "./request.ts";
import { pagingParams } from "./whole-list.ts";

/** A parameter of a request: text or a number. */
export type Params = Readonly<Record<string, string | number>>;

/** A page of a list and, if it is known, the number of rows before it. */
export interface Place {
  readonly ref: PageRef;
  readonly before: number | undefined;
}

/** A page that was read. */
export interface Page extends Place, AnswerParts {
  /** The next page, or `undefined` at the end of the list. */
  readonly next: PageRef | undefined;
  /** The requested URL without secrets, for messages. */
  readonly url: string;
  /** Method and URL, for messages. */
  readonly name: string;
  readonly answer: Answer;
}

/** The first page of a list. */
export const FIRST_PLACE: Place = { ref: null, before: 0 };

/** Requests the pages of one list, for every kind of pagination. */
export class Pages {
  readonly options: SourceOptions;
  readonly #client: RestClient;
  readonly #params: Params;

  /** `params` are added to every request, for example those of a time range. */
  constructor(options: SourceOptions, client: RestClient, params: Params = {}) {
    this.options = options;
    this.#client = client;
    this.#params = params;
  }

  /**
   * Requests one page and finds the page after it. `total` is the number of rows in the list by an
   * earlier answer. Errors: those of `records`, `LIST_END_UNCLEAR`, `PAGES_LOOP`.
   */
  async page(place: Place, signal?: AbortSignal, total?: number): Promise<Page> {
    const { ref } = place;
    const { answer, parts, name } = await this.#read(ref, signal);
    const page = { ...parts, ref, answer, name, url: answer.url, total: parts.total ?? total };
    const before = this.options.pagination.type === "offset" ? Number(ref ?? 0) : place.before;
    const answered = { ...page, before, rows: parts.records.length };
    return { ...page, before, next: pageAfter(answered, this.options, this.#client) };
  }

  /** Requests the records of one page. Errors: those of `RestClient.get`, and `ROWS_NOT_FOUND`. */
  async records(ref: PageRef, signal?: AbortSignal): Promise<Pick<Page, "records" | "url" | "name">> {
    const { answer, parts, name } = await this.#read(ref, signal);
    return { records: parts.records, url: answer.url, name };
  }

  /**
   * Returns the records of the answer to a request with many parameters of pages, except those of
   * the options. Returns `undefined` if the API refuses it.
   */
  async probe(rows: number, signal?: AbortSignal): Promise<readonly unknown[] | undefined> {
    const { url, query } = this.options;
    const own = new Set([
      ...new URL(url).searchParams.keys(),
      ...Object.keys(query),
      ...Object.keys(this.#params),
    ]);
    const params = Object.entries(pagingParams(rows)).filter(([name]) => !own.has(name));
    const asked = this.#client.url(asText({ ...this.#params, ...Object.fromEntries(params) }));
    try {
      const answer = await this.#client.get(asked, signal === undefined ? {} : { signal });
      return new AnswerReader(this.options, answer, this.#name(answer.url)).parts().records;
    } catch (error) {
      if (MillraceError.is(error) && !error.retryable) return undefined;
      throw error;
    }
  }

  async #read(
    ref: PageRef,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly answer: Answer; readonly parts: AnswerParts; readonly name: string }> {
    const { url, query } = this.#request(ref);
    try {
      const answer = await this.#client.get(url, {
        ...(signal === undefined ? {} : { signal }),
        ...(query === undefined ? {} : { query }),
      });
      const name = this.#name(answer.url);
      return { answer, name, parts: new AnswerReader(this.options, answer, name).parts() };
    } catch (error) {
      if (!MillraceError.is(error) || error.where.status !== 404 || !this.#isCounted(ref)) throw error;
      if (!endsOn(this.options.pagination, "notFound")) {
        throw error.with({
          hint: 'If the API answers so after the last page, set `endOn: "notFound"` in pagination. Else check url, query and pagination of the options.',
        });
      }
      const shown = error.where.url ?? "";
      const answer = { body: undefined, noContent: true, link: null, base: url, url: shown };
      return { answer, name: this.#name(shown), parts: NO_PAGE };
    }
  }

  /** Returns true for a page after the first whose number or offset was counted here. */
  #isCounted(ref: PageRef): boolean {
    const { type } = this.options.pagination;
    return ref !== null && ref !== 0 && (type === "offset" || type === "page");
  }

  #name(url: string): string {
    return `${this.options.requestBody === undefined ? "GET" : "POST"} ${url}`;
  }

  #request(ref: PageRef): { readonly url: URL; readonly query?: BodyQuery } {
    const { pagination, requestBody, paramsIn } = this.options;
    const isLinked = pagination.type === "link" || pagination.type === "next";
    if (isLinked && ref !== null) return { url: this.#client.linked(String(ref)) };
    const params = { ...this.#params, ...this.#pageParams(ref) };
    if (requestBody === undefined) return { url: this.#client.url(asText(params)) };
    return paramsIn === "query"
      ? { url: this.#client.url(asText(params)), query: { template: requestBody, params: {} } }
      : { url: this.#client.url({}), query: { template: requestBody, params } };
  }

  /** Returns the parameters by which the API finds a page. */
  #pageParams(ref: PageRef): Readonly<Record<string, unknown>> {
    const { pagination, pageSize } = this.options;
    const at = Number(typeof ref === "object" ? 0 : ref);
    switch (pagination.type) {
      case "offset":
        return { [pagination.offsetParam]: at + pagination.first, ...sized(pagination.limitParam, pageSize) };
      case "page":
        return {
          [pagination.pageParam]: at / pageSize + pagination.first,
          ...sized(pagination.sizeParam, pageSize),
        };
      case "cursor": {
        const size = sized(pagination.sizeParam, pageSize);
        if (ref === null) return size;
        return { ...size, [pagination.cursorParam]: cursorOf(ref, (text) => this.#client.cursor(text)) };
      }
      case "link":
      case "next":
        return sized(pagination.sizeParam, pageSize);
      case "none":
        return {};
    }
  }
}

/** The parts of a page that does not exist. */
const NO_PAGE: AnswerParts = {
  records: [],
  isBare: true,
  hasMore: undefined,
  total: undefined,
  totalPages: undefined,
};

function sized(param: string | null, size: number): Readonly<Record<string, number>> {
  return param === null ? {} : { [param]: size };
}

function asText(params: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(Object.entries(params).map(([name, value]) => [name, queryText(value)]));
}
