import { MillraceError } from "../../contract/errors.ts";
import { listMoved, pagesLoop } from "./page-errors.ts";
import { after, keyOf } from "./page-ref.ts";
import type { Page, Pages, Place } from "./pages.ts";
import { Progress } from "./progress.ts";

interface WalkOptions {
  readonly signal?: AbortSignal;
  /** True if rows may be added at the end of the list while it is read. */
  readonly grows?: boolean;
}

/**
 * Yields the pages from `start` to the end of the list. A page is yielded after it is known to be
 * complete, and only if it advances. Errors: those of `Pages.page`, `PAGES_LOOP`, `LIST_MOVED`,
 * `LIST_END_UNCLEAR`.
 */
export async function* walk(
  pages: Pages,
  start: Place,
  { signal, grows = false }: WalkOptions = {},
): AsyncGenerator<Page> {
  const walked = new Walk(pages, grows);
  let held: Page | undefined;
  let place: Place | undefined = start;
  while (place !== undefined) {
    let page: Page = await pages.page(place, signal, walked.total);
    walked.checkTotal(page);
    if (held !== undefined) {
      const complete: Page = await walked.completed(held, page, signal);
      if (await walked.isRepeated(complete, signal)) return;
      yield complete;
      page = { ...page, before: after(complete, complete.records.length) };
    }
    place = walked.placeAfter(page);
    held = place !== undefined && walked.mayGrow(page) ? page : undefined;
    if (held !== undefined) continue;
    if (await walked.isRepeated(page, signal)) return;
    yield page;
  }
}

class Walk {
  readonly #pages: Pages;
  readonly #grows: boolean;
  readonly #progress: Progress;
  readonly #seen = new Set<string>();
  #emptyPages = 0;
  /** A number of rows that a page has if it is full: the page size, or what the API makes of it. */
  #full: number;
  /** The number of rows in the list by the newest answer. */
  total: number | undefined;

  constructor(pages: Pages, grows: boolean) {
    this.#pages = pages;
    this.#grows = grows;
    this.#progress = new Progress(pages);
    this.#full = pages.options.pageSize;
  }

  /** Error: `LIST_MOVED` if the list now has another number of rows. */
  checkTotal(page: Page): void {
    const before = this.total;
    this.total = page.total;
    if (before === undefined || page.total === undefined || page.total === before) return;
    if (this.#grows && page.total > before) return;
    throw listMoved(
      page,
      `the list now has ${page.total} rows, and had ${before} a page before`,
      "Rows may be missing or doubled. Read the list again, or in an order that only grows at its end.",
    );
  }

  /**
   * Returns the place of the next page. Errors: `PAGES_LOOP`, and `LIST_END_UNCLEAR` after too many
   * empty pages.
   */
  placeAfter(page: Page): Place | undefined {
    const { next } = page;
    if (next === undefined) return undefined;
    const { pagination } = this.#pages.options;
    this.#seen.add(keyOf(page.ref));
    if (this.#seen.has(keyOf(next))) throw pagesLoop(page, "leads back to a page before it", { pagination });
    this.#emptyPages = page.records.length === 0 ? this.#emptyPages + 1 : 0;
    const most = "maxEmptyPages" in pagination ? pagination.maxEmptyPages : 100;
    if (this.#emptyPages <= most) return { ref: next, before: after(page, page.records.length) };
    throw new MillraceError(
      "LIST_END_UNCLEAR",
      `${page.name}: this is page ${this.#emptyPages} without rows in a row, and it leads to another`,
      {
        where: { url: page.url },
        hint: 'If an empty page is the end of the list, set `endOn: "empty"` in pagination. If the API has so many, raise maxEmptyPages.',
      },
    );
  }

  /**
   * Returns true if rows may still be added to a numbered page. They would then be on this page,
   * not on the next one, so its rows are counted again once the next page has some.
   */
  mayGrow(page: Page): boolean {
    const { pagination, pageSize } = this.#pages.options;
    const rows = page.records.length;
    return (
      pagination.type === "page" &&
      page.hasMore === undefined &&
      page.totalPages === undefined &&
      page.total === undefined &&
      rows > 0 &&
      rows !== pageSize &&
      rows !== this.#full
    );
  }

  /** Requests a page again if the next one has rows, so that it is complete now. */
  async completed(held: Page, following: Page, signal: AbortSignal | undefined): Promise<Page> {
    if (following.records.length === 0) return held;
    const page = await this.#pages.page(held, signal);
    this.#full = page.records.length;
    if (page.records.length >= held.records.length) return page;
    throw listMoved(
      page,
      `the page has ${page.records.length} rows, and had ${held.records.length} just now`,
      "Rows may be missing. Read the list again, or in an order that only grows at its end.",
    );
  }

  /** Returns true if the page repeats the last one, which ends the list if the options say so. */
  async isRepeated(page: Page, signal: AbortSignal | undefined): Promise<boolean> {
    return await this.#progress.isRepeated(page, signal);
  }
}
