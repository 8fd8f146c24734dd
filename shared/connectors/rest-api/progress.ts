import { MillraceError } from "../../contract/errors.ts";
import { valueAt } from "../kit/json-path.ts";
import { sha256 } from "../kit/sha256.ts";
import { pathOf } from "./column-paths.ts";
import type { SourceOptions } from "./options.ts";
import { listMoved, pagesLoop } from "./page-errors.ts";
import type { Page, Pages } from "./pages.ts";
import { endsOn } from "./pagination.ts";
import { jsonText } from "./request-body.ts";
import { checkNoMore, paginationUnknown, signOfPages } from "./whole-list.ts";

/** Checks that each page has other rows than the pages before. It keeps digests, not rows. */
export class Progress {
  readonly #options: SourceOptions;
  readonly #pages: Pages;
  /** The number of each page by the digest of its rows. */
  readonly #numbers = new Map<string, number>();
  /** The number of the page in which each key was, by the key's digest. */
  readonly #keys = new Map<string, number>();
  /** The digests of the rows of the page before. */
  #before: readonly string[] = [];
  #number = 0;

  constructor(pages: Pages) {
    this.#options = pages.options;
    this.#pages = pages;
  }

  /**
   * Returns true if the page is equal to the page before, and the list ends there: because the
   * options say so, or because the API has no pages. Errors: `PAGES_LOOP`, `LIST_MOVED`,
   * `ROW_MISMATCH` for a row without its key.
   */
  async isRepeated(page: Page, signal?: AbortSignal): Promise<boolean> {
    if (page.records.length === 0) return false;
    this.#number++;
    if (!this.#options.pagination.allowRepeats && (await this.#hasRows(page, signal))) return true;
    this.#checkKeys(page);
    return false;
  }

  async #hasRows(page: Page, signal: AbortSignal | undefined): Promise<boolean> {
    const { pagination, isPaginationAssumed } = this.#options;
    const rows = page.records.map((record) => digestOf(record));
    const digest = digestOf(rows);
    const earlier = this.#numbers.get(digest);
    if (earlier !== undefined && earlier === this.#number - 1) {
      if (endsOn(pagination, "repeated")) {
        checkNoMore(page, pagination, { isRepeated: true });
        return true;
      }
      if (isPaginationAssumed) {
        await this.#checkWhole(page, digest, signal);
        return true;
      }
    }
    if (earlier !== undefined) {
      throw pagesLoop(page, `(page ${this.#number}) has the same rows as page ${earlier}`, {
        pagination,
        isFirst: earlier === 1,
      });
    }
    this.#numbers.set(digest, this.#number);
    const shared = this.#options.key === undefined ? sharedRows(this.#before, rows) : 0;
    this.#before = rows;
    if (shared === 0) return false;
    throw listMoved(
      page,
      `page ${this.#number} has ${shared} ${shared === 1 ? "row" : "rows"} of page ${this.#number - 1} again`,
      "The list moved while it was read, so rows may be missing or doubled: read it in an order that only grows at its end. A list that may have equal rows needs allowRepeats in pagination, or the option key.",
    );
  }

  /**
   * Checks that an API which does not know `offset` has no other pages either: no answer says so,
   * and none of the usual parameters changes the answer. Error: `PAGES_LOOP`.
   */
  async #checkWhole(page: Page, digest: string, signal: AbortSignal | undefined): Promise<void> {
    const sign = signOfPages(page.answer, page.records.length);
    if (sign !== undefined) throw paginationUnknown(page, `the answer has ${sign}`);
    const again = await this.#pages.probe(page.records.length, signal);
    if (again !== undefined && digestOf(again.map((record) => digestOf(record))) === digest) return;
    throw paginationUnknown(page, "it answers otherwise to other parameters of pages");
  }

  #checkKeys(page: Page): void {
    const { key, columns } = this.#options;
    if (key === undefined) return;
    const names = typeof key === "string" ? [key] : key;
    for (const record of page.records) {
      const values = names.map((name) => keyValue(record, name, columns[name]));
      const missing = names.find((_, i) => values[i] === undefined);
      if (missing !== undefined) throw noKey(page, missing);
      const digest = digestOf(values);
      const earlier = this.#keys.get(digest);
      if (earlier !== undefined) {
        throw listMoved(
          page,
          `a row of page ${this.#number} has the same ${names.join(", ")} as one of page ${earlier}`,
          "The list moved while it was read, so rows may be missing, too: read it in an order that only grows at its end, or by timeRange. If several rows may have the same key, correct the option key.",
        );
      }
      this.#keys.set(digest, this.#number);
    }
  }
}

function keyValue(
  record: unknown,
  name: string,
  column: SourceOptions["columns"][string] | undefined,
): string | undefined {
  const path = column === undefined ? undefined : pathOf(column).path;
  const value =
    path !== undefined
      ? valueAt(record, path)
      : typeof record === "object" && record !== null && Object.hasOwn(record, name)
        ? (record as Readonly<Record<string, unknown>>)[name]
        : undefined;
  if (value === undefined || value === null) return undefined;
  // An id may be a number in one page and text in the next.
  return typeof value === "string" ? value : jsonText(value);
}

function noKey(page: Page, name: string): MillraceError {
  return new MillraceError(
    "ROW_MISMATCH",
    `${page.name}: a row has no "${name}", which the option key names`,
    {
      where: { url: page.url, field: name },
      hint: "Set key to a column that every row has, or remove it.",
    },
  );
}

/** 16 bytes are enough for no two rows to have the same digest by chance. */
function digestOf(value: unknown): string {
  return sha256(jsonText(value) ?? "").toString("base64url", 0, 16);
}

/**
 * Returns how many rows two pages share: the first page's last rows if the second begins with them,
 * or all rows of the shorter page if the other contains them at its end or in a row.
 */
function sharedRows(first: readonly string[], second: readonly string[]): number {
  const [head] = second;
  for (let at = first.indexOf(head ?? ""); at >= 0; at = first.indexOf(head ?? "", at + 1)) {
    const shared = Math.min(first.length - at, second.length);
    // A single row in the middle of a page is no sign, because rows may be equal by chance.
    const counts = at + shared === first.length || shared > 1;
    if (counts && second.slice(0, shared).every((row, i) => row === first[at + i])) return shared;
  }
  const tail = second.slice(-first.length);
  const isTail = first.length > 0 && first.length < second.length && tail.every((row, i) => row === first[i]);
  return isTail ? first.length : 0;
}
