import type { RecordBatch, Schema } from "apache-arrow";
import type { TaskContext } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { JsonValue } from "../../contract/json.ts";
import { DataSourceStreamReader, type SupportsTriggerAvailableNow } from "../../contract/stream-reader.ts";
import type { RestClient } from "./client.ts";
import type { SourceOptions } from "./options.ts";
import { type Page, type PageRef, Pages } from "./pages.ts";
import { recordBatches } from "./records.ts";

/** The offset: the stream was read up to this row of this page (exclusive). */
type Position = { readonly page: PageRef; readonly row: number };
/**
 * The rows from `from` (inclusive) to `to` (exclusive) of one page. `size` is the page size of the
 * plan; a replay requests the page with the same size.
 */
type PageSlice = {
  readonly page: PageRef;
  readonly size: number;
  readonly from: number;
  readonly to: number;
};

type SeenPage = { readonly rows: number; readonly next: PageRef | undefined };

/**
 * Reads a list that only grows at its end, by position. Planning requests the new pages to find the
 * end of the batch. The tasks request them again, one page per task.
 */
export class PositionReader
  extends DataSourceStreamReader<Position, PageSlice>
  implements SupportsTriggerAvailableNow
{
  readonly #schema: Schema;
  readonly #options: SourceOptions;
  readonly #client: RestClient;
  readonly #pages: Pages;
  /** The pages that planning has requested, so that none is requested twice. */
  readonly #seen = new Map<PageRef, SeenPage>();
  #fixesEnd = false;
  /** The end of the list when an `availableNow` run started. */
  #availableNow: Position | undefined;

  constructor(schema: Schema, options: SourceOptions, client: RestClient) {
    super();
    this.#schema = schema;
    this.#options = options;
    this.#client = client;
    this.#pages = new Pages(options, client);
  }

  /**
   * The first `latestOffset` reads the whole list once to find its end. Later batches of the run
   * use the pages it found.
   */
  prepareForTriggerAvailableNow(): void {
    this.#fixesEnd = true;
    this.#availableNow = undefined;
  }

  availableNowTarget(): Position | undefined {
    return this.#availableNow;
  }

  restoreAvailableNow(target: JsonValue): void {
    this.#fixesEnd = true;
    this.#availableNow = target as Position;
  }

  override initialOffset(): Position {
    return { page: null, row: 0 };
  }

  override async latestOffset(start: Position): Promise<Position> {
    const from = this.#pages.align(start);
    const end = await this.#latest(from);
    return end.page === from.page && end.row === from.row ? start : end;
  }

  async #latest(start: Position): Promise<Position> {
    const { maxPagesPerBatch } = this.#options;
    if (!this.#fixesEnd) return await this.#walk(start, maxPagesPerBatch);
    this.#availableNow ??= await this.#walk(start, Number.POSITIVE_INFINITY);
    const target = this.#availableNow;
    let page = start.page;
    for (let pages = 0; pages < maxPagesPerBatch; pages++) {
      if (page === target.page) return target;
      const { next } = await this.#pageInfo(page);
      if (next === undefined) return target;
      page = next;
    }
    return page === target.page && target.row === 0 ? target : { page, row: 0 };
  }

  /**
   * Requests pages from `start` on. Returns the end of the list, or the start of the page after the
   * first `maxPages`.
   */
  async #walk(start: Position, maxPages: number): Promise<Position> {
    this.#seen.clear();
    let end = start;
    let pages = 0;
    for await (const page of this.#pages.from(start.page)) {
      this.#seen.set(page.ref, { rows: page.records.length, next: page.next });
      if (page.ref === start.page && page.records.length < start.row) throw listShrank(page, start.row);
      end = { page: page.ref, row: page.records.length };
      if (page.next !== undefined && ++pages >= maxPages) return { page: page.next, row: 0 };
    }
    return end;
  }

  override async partitions(start: Position, end: Position): Promise<PageSlice[]> {
    const slices: PageSlice[] = [];
    const first = this.#pages.align(start);
    let from = first.row;
    for (let page: PageRef | undefined = first.page; page !== undefined; from = 0) {
      const isLast: boolean = page === end.page;
      const seen: SeenPage = isLast ? { rows: end.row, next: undefined } : await this.#pageInfo(page);
      if (seen.rows > from) slices.push({ page, size: this.#options.pageSize, from, to: seen.rows });
      page = seen.next;
    }
    return slices;
  }

  override read(slice: PageSlice, task: TaskContext): AsyncGenerator<RecordBatch> {
    return recordBatches(this.#schema, this.#options.columns, this.#readSlice(slice, task.signal));
  }

  async *#readSlice(slice: PageSlice, signal: AbortSignal): AsyncGenerator<Pick<Page, "records" | "url">> {
    const pages = new Pages({ ...this.#options, pageSize: slice.size }, this.#client);
    const page = await pages.page(slice.page, signal);
    if (page.records.length < slice.to) throw listShrank(page, slice.to);
    yield { records: page.records.slice(slice.from, slice.to), url: page.url };
  }

  async #pageInfo(ref: PageRef): Promise<SeenPage> {
    const seen = this.#seen.get(ref);
    if (seen !== undefined) return seen;
    const page = await this.#pages.page(ref);
    const looked = { rows: page.records.length, next: page.next };
    // The last page is not remembered because it may still grow.
    if (page.next !== undefined) this.#seen.set(ref, looked);
    return looked;
  }
}

function listShrank(page: Page, expected: number): MillraceError {
  return new MillraceError(
    "LIST_SHRANK",
    `GET ${page.url} has ${page.records.length} rows, where it had ${expected}`,
    {
      where: { url: page.url },
      hint: "Without timeRange a list must only grow at its end: sort it oldest first, or read it by timeRange.",
    },
  );
}
