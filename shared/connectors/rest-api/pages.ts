import { MillraceError } from "../../contract/errors.ts";
import { kindOf } from "../../contract/json.ts";
import { showPath, valueAt } from "../kit/json-path.ts";
import type { Answer, RestClient } from "./client.ts";
import type { SourceOptions } from "./options.ts";

/**
 * Identifies a page of a list; `null` is the first page. Depending on the pagination it is the
 * number of rows before the page, the cursor, or the link's path and query. It has no secrets, so
 * that it can be stored.
 */
export type PageRef = string | number | null;

export interface Page {
  readonly ref: PageRef;
  readonly records: readonly unknown[];
  /** The next page, or `undefined` at the end of the list. */
  readonly next: PageRef | undefined;
  /** The requested URL without secrets, for messages. */
  readonly url: string;
}

/** The pages of one list, for every kind of pagination. */
export class Pages {
  readonly #options: SourceOptions;
  readonly #client: RestClient;
  readonly #params: Readonly<Record<string, string>>;

  /** `params` are added to every request, for example those of a time range. */
  constructor(options: SourceOptions, client: RestClient, params: Readonly<Record<string, string>> = {}) {
    this.#options = options;
    this.#client = client;
    this.#params = params;
  }

  /**
   * Returns the same position in pages of the current size. A numbered page starts at another row
   * after `pageSize` was changed.
   */
  align(position: { readonly page: PageRef; readonly row: number }): {
    readonly page: PageRef;
    readonly row: number;
  } {
    const { pagination, pageSize } = this.#options;
    const before = Number(position.page ?? 0);
    if (pagination.type !== "page" || before % pageSize === 0) return position;
    const row = before + position.row;
    return { page: row - (row % pageSize), row: row % pageSize };
  }

  /** Requests one page. Errors: those of `RestClient.get`, and `ROWS_NOT_FOUND`. */
  async page(ref: PageRef, signal?: AbortSignal): Promise<Page> {
    const answer = await this.#client.get(this.#url(ref), signal);
    const records = this.#records(answer);
    return { ref, records, next: this.#next(ref, records.length, answer), url: answer.url };
  }

  /** Yields all pages from `ref` to the end of the list. */
  async *from(ref: PageRef, signal?: AbortSignal): AsyncGenerator<Page> {
    const seen = new Set<PageRef>();
    for (let at: PageRef | undefined = ref; at !== undefined; ) {
      seen.add(at);
      const page: Page = await this.page(at, signal);
      yield page;
      if (page.next !== undefined && seen.has(page.next)) throw pagesLoop(page);
      at = page.next;
    }
  }

  #url(ref: PageRef): URL {
    const { pagination, pageSize } = this.#options;
    const size = String(pageSize);
    switch (pagination.type) {
      case "offset":
        return this.#client.url({
          ...this.#params,
          [pagination.offsetParam]: String(Number(ref ?? 0) + pagination.first),
          [pagination.limitParam]: size,
        });
      case "page":
        return this.#client.url({
          ...this.#params,
          [pagination.pageParam]: String(Number(ref ?? 0) / pageSize + pagination.first),
          [pagination.sizeParam]: size,
        });
      case "cursor":
        return this.#client.url({
          ...this.#params,
          [pagination.sizeParam]: size,
          ...(ref === null ? {} : { [pagination.cursorParam]: this.#client.cursor(String(ref)) }),
        });
      case "link":
        return ref === null
          ? this.#client.url({ ...this.#params, [pagination.sizeParam]: size })
          : this.#client.linked(String(ref));
      case "none":
        return this.#client.url(this.#params);
    }
  }

  #next(ref: PageRef, rows: number, answer: Answer): PageRef | undefined {
    const { pagination, pageSize } = this.#options;
    switch (pagination.type) {
      // A page with fewer rows than `pageSize` is the last one.
      case "offset":
        return rows < pageSize ? undefined : Number(ref ?? 0) + rows;
      case "page":
        return rows < pageSize ? undefined : Number(ref ?? 0) + pageSize;
      case "cursor": {
        const cursor = valueAt(answer.body, pagination.cursorPath);
        if (cursor === undefined || cursor === null || cursor === "") return undefined;
        return typeof cursor === "number" ? cursor : this.#client.storedCursor(String(cursor));
      }
      case "link": {
        return answer.nextLink === undefined ? undefined : this.#client.storedLink(answer.nextLink, answer);
      }
      case "none":
        return undefined;
    }
  }

  #records(answer: Answer): readonly unknown[] {
    const { rows } = this.#options;
    const records = rows === undefined ? answer.body : valueAt(answer.body, rows);
    if (Array.isArray(records)) return records as readonly unknown[];
    const place = rows === undefined ? "the answer" : `${showPath(rows)} in the answer`;
    throw new MillraceError(
      "ROWS_NOT_FOUND",
      `GET ${answer.url}: ${place} is ${kindOf(records)}, not an array of records`,
      {
        where: { url: answer.url },
        hint: 'Set the option rows to the path of the array, such as "features" or "data.items".',
      },
    );
  }
}

function pagesLoop(page: Page): MillraceError {
  return new MillraceError("PAGES_LOOP", `GET ${page.url} says that the page after it is one before it`, {
    where: { url: page.url },
    hint: "Check the option pagination against the API's documentation.",
  });
}
