import * as z from "zod";
import { type JsonPath, jsonPath } from "../kit/json-path.ts";

/**
 * How an answer proves that the list goes on or ends. Each path that is set must be in each answer.
 */
export interface EndProofs {
  /**
   * Path of a boolean that says whether pages follow: `has_more`, `pageInfo.hasNextPage`. If it is
   * not set, a list does not end by an option while an answer has such a name, a usual name of a
   * next page, or a larger total. If it is null, such names say nothing.
   */
  readonly hasMorePath?: JsonPath | null;
  /** Path of a boolean that says whether this is the last page: `last`, `isLast`. */
  readonly isLastPath?: JsonPath;
  /** Path of the number of rows in the whole list: `count`, `meta.total`. */
  readonly totalPath?: JsonPath;
  /**
   * True if the list may have equal pages or rows, such as readings without an id. A page that
   * repeats rows of the page before is then no error. Default false.
   */
  readonly allowRepeats?: boolean;
}

/** What also ends a list whose pages are counted, besides an empty page. */
export type CountedEnd =
  /** A page without rows. This is the default and always applies. */
  | "empty"
  /** A page with fewer than `pageSize` rows. Only for an API that does not cap the page size. */
  | "short"
  /** Status 404 for a page after the first. */
  | "notFound"
  /** A page that is equal to the page before. Its rows are dropped. */
  | "repeated";

/** What also ends a list whose answers lead to the next page, besides an explicit end. */
export type LinkedEnd =
  /** An answer in which the cursor, the link or the `Link` header is missing. */
  | "missing"
  /** A page without rows, even if it leads to a next page. */
  | "empty"
  /** An answer that leads to itself, or a page that is equal to the page before. */
  | "repeated";

/** Options of a list whose answers lead to the next page. */
export interface LinkedPages extends EndProofs {
  /** What ends the list besides an explicit end. */
  readonly endOn?: LinkedEnd | readonly LinkedEnd[];
  /** Maximum number of pages without rows in a row, if each leads to another. Default 100. */
  readonly maxEmptyPages?: number;
}

/** How the API splits a list into pages. */
export type Pagination =
  /** `?offset=0&limit=100`: the offset is the number of rows to skip. */
  | (EndProofs & {
      readonly type: "offset";
      /** Query parameter of the offset. Default `offset`. */
      readonly offsetParam?: string;
      /** Query parameter of the page size. If it is null, no size is sent. Default `limit`. */
      readonly limitParam?: string | null;
      /** The offset of the first page. Default 0; USGS uses 1. */
      readonly first?: number;
      /** What ends the list besides an empty page. */
      readonly endOn?: CountedEnd | readonly CountedEnd[];
    })
  /** `?page=1&per_page=100`: pages are numbered. */
  | (EndProofs & {
      readonly type: "page";
      /** Query parameter of the page's number. Default `page`. */
      readonly pageParam?: string;
      /** Query parameter of the page size. If it is null, no size is sent. Default `per_page`. */
      readonly sizeParam?: string | null;
      /** The number of the first page. Default 1. */
      readonly first?: number;
      /** What ends the list besides an empty page. */
      readonly endOn?: CountedEnd | readonly CountedEnd[];
      /** Path of the number of pages in the whole list: `total_pages`. */
      readonly totalPagesPath?: JsonPath;
    })
  /** `?cursor=…`: each answer has the cursor of the next page. */
  | (LinkedPages & {
      readonly type: "cursor";
      /** Path of the cursor of the next page. The list ends if it is null, false or "". */
      readonly cursorPath: JsonPath;
      /** Query parameter of the cursor, or its path in `requestBody`. Default `cursor`. */
      readonly cursorParam?: string;
      /** Query parameter of the page size. If it is null, no size is sent. Default `limit`. */
      readonly sizeParam?: string | null;
    })
  /**
   * The `Link` header's `rel="next"` (RFC 8288) is the URL of the next page. It must have the same
   * origin as `url`. The list ends if the header has other links only.
   */
  | (LinkedPages & {
      readonly type: "link";
      /**
       * Query parameter of the page size in the first request. If it is null, no size is sent.
       * Default `per_page`.
       */
      readonly sizeParam?: string | null;
    })
  /** Each answer has the URL of the next page, which must have the same origin as `url`. */
  | (LinkedPages & {
      readonly type: "next";
      /**
       * Path of the URL of the next page: `next`, `@odata.nextLink`. The list ends if it is null,
       * false or "".
       */
      readonly nextPath: JsonPath;
      /** Query parameter of the page size in the first request. Default: no size is sent. */
      readonly sizeParam?: string | null;
    })
  /** The API has no pagination: one answer has all rows. */
  | (EndProofs & { readonly type: "none" });

const name = z.string().min(1);
const sizeName = (otherwise: string | null) => name.nullable().default(otherwise);

const PROOFS = {
  hasMorePath: jsonPath.nullable().optional(),
  isLastPath: jsonPath.optional(),
  totalPath: jsonPath.optional(),
  allowRepeats: z.boolean().default(false),
};

function ends<const Names extends readonly string[]>(names: Names) {
  const one = z.enum(names);
  return z
    .union(
      [one, z.array(one)],
      `Must be ${names.map((each) => `"${each}"`).join(", ")}, or an array of these`,
    )
    .default([]);
}

const COUNTED = { ...PROOFS, endOn: ends(["empty", "short", "notFound", "repeated"]) };
const LINKED = {
  ...PROOFS,
  endOn: ends(["missing", "empty", "repeated"]),
  maxEmptyPages: z.int().positive().default(100),
};

/** The schema of the option `pagination`. */
export const PAGINATION = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("offset"),
    offsetParam: name.default("offset"),
    limitParam: sizeName("limit"),
    first: z.int().nonnegative().default(0),
    ...COUNTED,
  }),
  z.strictObject({
    type: z.literal("page"),
    pageParam: name.default("page"),
    sizeParam: sizeName("per_page"),
    first: z.int().nonnegative().default(1),
    totalPagesPath: jsonPath.optional(),
    ...COUNTED,
  }),
  z.strictObject({
    type: z.literal("cursor"),
    cursorPath: jsonPath,
    cursorParam: name.default("cursor"),
    sizeParam: sizeName("limit"),
    ...LINKED,
  }),
  z.strictObject({ type: z.literal("link"), sizeParam: sizeName("per_page"), ...LINKED }),
  z.strictObject({ type: z.literal("next"), nextPath: jsonPath, sizeParam: sizeName(null), ...LINKED }),
  z.strictObject({ type: z.literal("none"), ...PROOFS }),
]);

/** The option `pagination` with its defaults. */
export type ParsedPagination = z.output<typeof PAGINATION>;

/** Returns true if the option `endOn` has this value. */
export function endsOn(pagination: ParsedPagination, end: CountedEnd | LinkedEnd): boolean {
  return "endOn" in pagination && [pagination.endOn].flat().includes(end);
}
