import type { RestApiOptions } from "../../../shared/connectors/rest-api/index.ts";
import type { Asked, Reply } from "../../support/api-server.ts";

/** What an API with a list does on its own: nothing of it is a fault. */
export interface ListApi {
  readonly items: readonly Item[];
  /** The largest page that the API gives, whatever is asked for. */
  readonly cap: number;
  /** Number of rows that the API leaves out of this page although it has more of them. */
  readonly shorterBy: number;
}

export interface Item {
  readonly id: number;
  readonly name: string;
}

/** A style of pagination: how an API splits its list, and the options that read it. */
export interface Style {
  readonly name: string;
  readonly options: Partial<RestApiOptions>;
  readonly answer: (api: ListApi, asked: Asked) => Reply;
}

/** The twelve styles. Their answers are written without the connector's code. */
export const STYLES: readonly Style[] = [
  {
    name: "offset with a total",
    options: { rows: "items", pagination: { type: "offset", totalPath: "total" } },
    answer: (api, asked) => {
      const { rows } = slice(api, number(asked, "offset"), number(asked, "limit"));
      return { json: { items: rows, total: api.items.length } };
    },
  },
  {
    name: "offset, the size of pages is capped",
    options: { pagination: { type: "offset", offsetParam: "$skip", limitParam: "$top" } },
    answer: (api, asked) => ({ json: slice(api, number(asked, "$skip"), number(asked, "$top")).rows }),
  },
  {
    name: "numbered pages up to an empty one",
    options: { pagination: { type: "page" } },
    answer: (api, asked) => ({ json: numbered(api, asked) }),
  },
  {
    name: "numbered pages with their number",
    options: { rows: "data", pagination: { type: "page", totalPagesPath: "meta.pages" } },
    answer: (api, asked) => ({
      json: { data: numbered(api, asked), meta: { pages: Math.ceil(api.items.length / sizeIn(api, asked)) } },
    }),
  },
  {
    name: "numbered pages up to a 404",
    options: { rows: "results", pagination: { type: "page", endOn: "notFound" } },
    answer: (api, asked) => {
      const rows = numbered(api, asked);
      if (rows.length === 0 && number(asked, "page") > 1)
        return { status: 404, json: { detail: "Invalid page." } };
      return { json: { count: api.items.length, results: rows } };
    },
  },
  {
    name: "a cursor, and has_more",
    options: { rows: "data", pagination: { type: "cursor", cursorPath: "cursor", hasMorePath: "has_more" } },
    answer: (api, asked) => {
      const from = number(asked, "cursor");
      const { rows, next } = slice(api, from, number(asked, "limit"));
      // On the last page the cursor stays where it was.
      return { json: { data: rows, has_more: next !== undefined, cursor: next ?? from } };
    },
  },
  {
    name: "a cursor, null at the end",
    options: { rows: "data", pagination: { type: "cursor", cursorPath: "meta.next", cursorParam: "after" } },
    answer: (api, asked) => {
      const from = Number(Buffer.from(asked.url.searchParams.get("after") ?? "MA==", "base64"));
      const { rows, next } = slice(api, from, number(asked, "limit"));
      return { json: { data: rows, meta: { next: next === undefined ? null : btoa(String(next)) } } };
    },
  },
  {
    name: "a cursor, absent at the end",
    options: { rows: "data", pagination: { type: "cursor", cursorPath: "next", endOn: "missing" } },
    answer: (api, asked) => {
      const cursor = JSON.parse(asked.url.searchParams.get("cursor") ?? '{"at":0}') as { at: number };
      const { rows, next } = slice(api, cursor.at, number(asked, "limit"));
      return { json: { data: rows, ...(next === undefined ? {} : { next: { at: next } }) } };
    },
  },
  {
    name: "the Link header",
    options: { pagination: { type: "link", endOn: "missing" } },
    answer: (api, asked) => {
      const { rows, next } = slice(api, number(asked, "from"), number(asked, "per_page"));
      const url = new URL(asked.url);
      url.searchParams.set("from", String(next));
      const link = `<${asked.url}>; rel="first", <${url}>; title="a, \\"b\\""; rel="next"`;
      return { json: rows, headers: next === undefined ? {} : { link } };
    },
  },
  {
    name: "the next URL in the body, null at the end",
    options: { rows: "results", pagination: { type: "next", nextPath: "next" } },
    answer: (api, asked) => {
      const { rows, next } = slice(api, number(asked, "from"), 20);
      return { json: { results: rows, next: next === undefined ? null : `/items?from=${next}` } };
    },
  },
  {
    name: "OData",
    options: { rows: "value", pagination: { type: "next", nextPath: "@odata.nextLink", endOn: "missing" } },
    answer: (api, asked) => {
      const { rows, next } = slice(api, number(asked, "$skiptoken"), 20);
      const url = new URL(asked.url);
      url.searchParams.set("$skiptoken", String(next));
      return {
        json: {
          "@odata.context": "$metadata",
          value: rows,
          ...(next === undefined ? {} : { "@odata.nextLink": url.href }),
        },
      };
    },
  },
  {
    name: "a GraphQL connection",
    options: {
      rows: "data.orders.edges",
      columns: { id: "node.id", name: "node.name" },
      requestBody: { query: "query($first: Int, $after: String) { orders { … } }", variables: {} },
      pagination: {
        type: "cursor",
        cursorPath: "data.orders.pageInfo.endCursor",
        hasMorePath: "data.orders.pageInfo.hasNextPage",
        cursorParam: "variables.after",
        sizeParam: "variables.first",
      },
    },
    answer: (api, asked) => {
      const { variables } = JSON.parse(asked.body) as { variables: { first: number; after?: string } };
      const from = Number(variables.after ?? 0);
      const { rows, next } = slice(api, from, variables.first);
      const pageInfo = {
        hasNextPage: next !== undefined,
        endCursor: rows.length === 0 ? null : String(from + rows.length),
      };
      return { json: { data: { orders: { edges: rows.map((node) => ({ node })), pageInfo } } } };
    },
  },
];

function number({ url }: Asked, name: string): number {
  return Number(url.searchParams.get(name) ?? 0);
}

/** Returns a page by position, and the position of the next one if there is one. */
function slice(
  { items, cap, shorterBy }: ListApi,
  from: number,
  asked: number,
): { readonly rows: readonly Item[]; readonly next: number | undefined } {
  const size = Math.max(1, Math.min(asked, cap) - shorterBy);
  const next = from + size;
  return { rows: items.slice(from, next), next: next < items.length ? next : undefined };
}

function sizeIn({ cap }: ListApi, asked: Asked): number {
  return Math.min(number(asked, "per_page"), cap);
}

/** A numbered page always begins at the same row, so it is never shorter than the cap. */
function numbered(api: ListApi, asked: Asked): readonly Item[] {
  const size = sizeIn(api, asked);
  return api.items.slice((number(asked, "page") - 1) * size, number(asked, "page") * size);
}
