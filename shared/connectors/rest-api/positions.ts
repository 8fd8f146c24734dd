import * as z from "zod";
import { MillraceError } from "../../contract/errors.ts";
import type { PageRef } from "./page-ref.ts";
import type { Pages, Place } from "./pages.ts";

/** An offset of a list: the stream was read up to this row of this page (exclusive). */
export type Position = {
  readonly page: PageRef;
  readonly row: number;
  /** The page size of a numbered page. Older versions did not write it. */
  readonly size?: number;
  /** The number of rows before the page, if `page` does not say it and it is needed. */
  readonly before?: number;
};

const COUNT = z.number().int().nonnegative();
/** The fields of a position, for those that a person gives. */
export const POSITION: z.ZodType<Position> = z.strictObject({
  page: z.union([z.string(), z.number(), z.literal(true), z.strictObject({ json: z.string() }), z.null()]),
  row: COUNT,
  size: COUNT.exactOptional(),
  before: COUNT.exactOptional(),
});

/** Converts between positions, which are stored, and places in the list. */
export class Positions {
  readonly #pages: Pages;

  constructor(pages: Pages) {
    this.#pages = pages;
  }

  of({ ref, before }: Place, row: number): Position {
    const { pagination, pageSize } = this.#pages.options;
    const position = { page: ref, row };
    switch (pagination.type) {
      case "offset":
      case "none":
        return position;
      case "page":
        return {
          ...position,
          size: pageSize,
          ...(before === undefined || before === Number(ref ?? 0) ? {} : { before }),
        };
      default:
        return before === undefined || pagination.totalPath === undefined
          ? position
          : { ...position, before };
    }
  }

  placeOf({ page, before }: Position): Place {
    const { type } = this.#pages.options.pagination;
    if (page === null) return { ref: page, before: 0 };
    return { ref: page, before: type === "page" ? (before ?? Number(page)) : before };
  }

  /**
   * Returns the same position in pages of the current size. A numbered page starts at another row
   * after `pageSize` was changed. Error: `OPTIONS_INVALID` if the row cannot be found again.
   */
  async align(position: Position): Promise<Position> {
    const { pagination, pageSize } = this.#pages.options;
    const { page, row, size, before } = position;
    // The page at an offset is not longer than a page, so a later row is at an offset of its own.
    if (pagination.type === "offset" && row > pageSize) return { page: Number(page ?? 0) + row, row: 0 };
    if (pagination.type !== "page" || size === pageSize || (page === null && row === 0)) return position;
    if (before !== undefined) {
      throw pageSizeChanged(position, pageSize, "the pages of this API have other numbers of rows");
    }
    const rows = Number(page ?? 0) + row;
    const start = rows - (rows % pageSize);
    if (start > 0) await this.#checkFull(position, start - pageSize);
    return this.of({ ref: start === 0 ? null : start, before: start }, rows - start);
  }

  /** Checks that the API does not cap the page size: the pages before would have fewer rows. */
  async #checkFull(position: Position, start: number): Promise<void> {
    const { pageSize } = this.#pages.options;
    const { records, name } = await this.#pages.records(start === 0 ? null : start);
    if (records.length === pageSize) return;
    throw pageSizeChanged(position, pageSize, `${name} has ${records.length} rows, not ${pageSize}`);
  }
}

function pageSizeChanged({ size }: Position, pageSize: number, problem: string): MillraceError {
  const was = size === undefined ? "" : ` from ${size}`;
  const back =
    size === undefined ? "to what it was when the stream was read last" : `back: \`pageSize: ${size}\``;
  return new MillraceError(
    "OPTIONS_INVALID",
    `RestApi: after pageSize was changed${was} to ${pageSize}, the row at which the stream goes on cannot be found: ${problem}`,
    {
      hint: `Set it ${back}. To read the list again from its beginning: \`millrace rewind PIPELINE --to-start\`.`,
    },
  );
}
