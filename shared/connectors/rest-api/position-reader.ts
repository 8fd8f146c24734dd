import type { RecordBatch, Schema } from "apache-arrow";
import type { TaskContext } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { JsonValue } from "../../contract/json.ts";
import type { Offset } from "../../contract/offset.ts";
import { DataSourceStreamReader, type SupportsTriggerAvailableNow } from "../../contract/stream-reader.ts";
import { offsetOf } from "../kit/offset-fields.ts";
import type { RestClient } from "./client.ts";
import type { SourceOptions } from "./options.ts";
import { after, keyOf, type PageRef } from "./page-ref.ts";
import { type Page, Pages, type Place } from "./pages.ts";
import { POSITION, type Position, Positions } from "./positions.ts";
import { readRecordsAgain, recordBatches } from "./records.ts";
import { walk } from "./walk.ts";

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

type SeenPage = Pick<Page, "ref" | "before" | "next" | "url" | "name"> & { readonly rows: number };

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
  readonly #positions: Positions;
  /** The pages that planning has requested, so that none is requested twice. */
  readonly #seen = new Map<string, SeenPage>();
  #fixesEnd = false;
  /** The end of the list when an `availableNow` run started. */
  #availableNow: Position | undefined;

  constructor(schema: Schema, options: SourceOptions, client: RestClient) {
    super();
    this.#schema = schema;
    this.#options = options;
    this.#client = client;
    this.#pages = new Pages(options, client);
    this.#positions = new Positions(this.#pages);
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

  override deserializeOffset(json: Offset): Position {
    return offsetOf(POSITION, json);
  }

  override async latestOffset(start: Position): Promise<Position> {
    const from = await this.#positions.align(start);
    const end = await this.#latest(from);
    return keyOf(end.page) === keyOf(from.page) && end.row === from.row ? start : end;
  }

  async #latest(start: Position): Promise<Position> {
    const { maxPagesPerBatch } = this.#options;
    if (!this.#fixesEnd) return await this.#walk(start, maxPagesPerBatch);
    this.#availableNow ??= await this.#walk(start, Number.POSITIVE_INFINITY);
    const target = await this.#positions.align(this.#availableNow);
    let place = this.#positions.placeOf(start);
    for (let pages = 0; pages < maxPagesPerBatch; pages++) {
      if (keyOf(place.ref) === keyOf(target.page)) return target;
      const seen = await this.#pageInfo(place);
      if (seen.next === undefined) throw endIsGone(seen);
      place = { ref: seen.next, before: after(seen, seen.rows) };
    }
    const isTarget = keyOf(place.ref) === keyOf(target.page) && target.row === 0;
    return isTarget ? target : this.#positions.of(place, 0);
  }

  /**
   * Requests pages from `start` on. Returns the end of the list, or the end of the page after which
   * `maxPages` pages have new rows. The next walk then begins with a page that was read, so that it
   * can tell whether the list advances.
   */
  async #walk(start: Position, maxPages: number): Promise<Position> {
    this.#seen.clear();
    let end = start;
    let newPages = 0;
    for await (const page of walk(this.#pages, this.#positions.placeOf(start), { grows: true })) {
      const rows = page.records.length;
      this.#seen.set(keyOf(page.ref), seenPage(page));
      const isStart = keyOf(page.ref) === keyOf(start.page);
      if (isStart && rows < start.row) throw listShrank(page, rows, start.row);
      // The end of the list stays at its last page with rows, which may still grow.
      if (rows > 0 || page.next !== undefined) end = this.#positions.of(page, rows);
      if (!(isStart && rows === start.row)) newPages++;
      if (newPages >= maxPages) return end;
    }
    return end;
  }

  override async partitions(start: Position, end: Position): Promise<PageSlice[]> {
    const slices: PageSlice[] = [];
    const first = await this.#positions.align(start);
    let from = first.row;
    let place = this.#positions.placeOf(first);
    for (;;) {
      const isLast = keyOf(place.ref) === keyOf(end.page);
      const seen = isLast ? undefined : await this.#pageInfo(place);
      const to = seen?.rows ?? end.row;
      if (to > from) slices.push({ page: place.ref, size: this.#options.pageSize, from, to });
      if (seen === undefined) return slices;
      if (seen.rows < from) throw listShrank(seen, seen.rows, from);
      if (seen.next === undefined) throw endIsGone(seen);
      place = { ref: seen.next, before: after(seen, seen.rows) };
      from = 0;
    }
  }

  override read(slice: PageSlice, task: TaskContext): AsyncGenerator<RecordBatch> {
    const { badRows, leftOut } = task;
    const pages = this.#readSlice(slice, task.signal);
    return recordBatches(this.#schema, this.#options.columns, pages, { badRows, leftOut });
  }

  readBadRows(contents: readonly unknown[], task: TaskContext): AsyncGenerator<RecordBatch> {
    return readRecordsAgain(this.#schema, this.#options, contents, task);
  }

  async *#readSlice(slice: PageSlice, signal: AbortSignal): AsyncGenerator<Pick<Page, "records" | "url">> {
    const pages = new Pages({ ...this.#options, pageSize: slice.size }, this.#client);
    const page = await pages.records(slice.page, signal);
    if (page.records.length < slice.to) throw listShrank(page, page.records.length, slice.to);
    yield { records: page.records.slice(slice.from, slice.to), url: page.url };
  }

  async #pageInfo(place: Place): Promise<SeenPage> {
    const seen = this.#seen.get(keyOf(place.ref));
    if (seen !== undefined) return seen;
    const page = await this.#pages.page(place);
    const looked = seenPage(page);
    // The last page is not remembered because it may still grow.
    if (page.next !== undefined) this.#seen.set(keyOf(page.ref), looked);
    return looked;
  }
}

function seenPage({ ref, before, next, records, url, name }: Page): SeenPage {
  return { ref, before, next, rows: records.length, url, name };
}

function listShrank(
  { name, url }: Pick<Page, "name" | "url">,
  rows: number,
  expected: number,
): MillraceError {
  return new MillraceError("LIST_SHRANK", `${name} has ${rows} rows, where it had ${expected}`, {
    where: { url },
    hint: "Without timeRange a list must only grow at its end: sort it oldest first, or read it by timeRange.",
  });
}

/** The error of a list that ends before the page up to which a batch was planned. */
function endIsGone({ name, url }: SeenPage): MillraceError {
  return new MillraceError("LIST_SHRANK", `${name} is the last page now, but the batch goes on after it`, {
    where: { url },
    hint: "Without timeRange a list must only grow at its end: sort it oldest first, or read it by timeRange.",
  });
}
