import type { Pagination, RestApiOptions } from "../../../shared/connectors/rest-api/index.ts";
import type { Asked, Reply } from "../../support/api-server.ts";

const KINDS: readonly Pagination[] = [
  { type: "offset" },
  { type: "offset", offsetParam: "skip", limitParam: "top", first: 1 },
  { type: "page" },
  { type: "page", pageParam: "p", sizeParam: "n", first: 0 },
  { type: "cursor", cursorPath: "meta.next", cursorParam: "after", sizeParam: "n" },
  { type: "link", sizeParam: "n" },
  { type: "next", nextPath: "next", sizeParam: "n" },
  { type: "none" },
];
export const kinds = KINDS.map((pagination) => [JSON.stringify(pagination), pagination] as const);

/**
 * Returns the answer of an API with this pagination to one request for `items`. Does not use the
 * connector's code.
 */
export function page(pagination: Pagination, items: readonly unknown[], { url }: Asked): Reply {
  const number = (name: string, otherwise = 0): number => Number(url.searchParams.get(name) ?? otherwise);
  const slice = (from: number, size: number): unknown[] => items.slice(from, from + size);
  switch (pagination.type) {
    case "offset": {
      const from = number(pagination.offsetParam ?? "offset", Number.NaN) - (pagination.first ?? 0);
      return { json: { data: slice(from, number(pagination.limitParam ?? "limit")) } };
    }
    case "page": {
      const size = number(pagination.sizeParam ?? "per_page");
      return {
        json: {
          data: slice(
            (number(pagination.pageParam ?? "page", Number.NaN) - (pagination.first ?? 1)) * size,
            size,
          ),
        },
      };
    }
    case "cursor": {
      const from = Number(url.searchParams.get("after")?.slice(2) ?? 0);
      const to = from + number("n");
      return {
        json: { data: slice(from, number("n")), meta: { next: to < items.length ? `c-${to}` : null } },
      };
    }
    case "link": {
      const [from, size] = [number("from"), number("n")];
      const next = new URL(url);
      next.searchParams.set("from", String(from + size));
      const link = from + size < items.length ? `<${next}>; rel="next"` : `<${url}>; rel="first"`;
      return { json: { data: slice(from, size) }, headers: { link } };
    }
    case "next": {
      const [from, size] = [number("from"), number("n")];
      const next = new URL(url);
      next.searchParams.set("from", String(from + size));
      return { json: { data: slice(from, size), next: from + size < items.length ? next.href : null } };
    }
    case "none":
      return { json: { data: items } };
  }
}

export const listOptions = (url: string, more: Partial<RestApiOptions> = {}): RestApiOptions => ({
  url,
  schema: "id int",
  rows: "data",
  pageSize: 3,
  ...more,
});
export const idsUpTo = (count: number): { id: number }[] =>
  Array.from({ length: count }, (_, id) => ({ id }));
