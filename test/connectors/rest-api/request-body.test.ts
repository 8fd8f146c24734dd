import { describe, expect, it } from "vitest";
import type { Pagination, RestApiOptions } from "../../../shared/connectors/rest-api/index.ts";
import { RestApi } from "../../../shared/connectors/rest-api/index.ts";
import { fillBody } from "../../../shared/connectors/rest-api/request-body.ts";
import { parseOptions } from "../../../shared/contract/options/parse.ts";
import { failure, type Respond, runtimeAt, serve } from "../../support/api-server.ts";
import { drain, rowsIn } from "./draining-reader.ts";
import { idsOf, listError, readList, records, upTo } from "./reading-list.ts";

/** A GraphQL API with connections of 25 nodes. Errors are those of the answer to the last page. */
const graphql =
  (errors?: unknown): Respond =>
  ({ body }) => {
    const { variables } = JSON.parse(body) as { variables: { first: number; after: string | null } };
    const from = Number(variables.after ?? 0);
    const to = Math.min(from + variables.first, 25);
    const pageInfo = { endCursor: String(to), hasNextPage: to < 25 };
    const isLast = to === 25;
    return {
      json: {
        data: { issues: { nodes: records(from, isLast && errors !== undefined ? from : to), pageInfo } },
        ...(isLast ? { errors } : {}),
      },
    };
  };

const connection: Partial<RestApiOptions> = {
  pageSize: 10,
  rows: "data.issues.nodes",
  requestBody: {
    query: "query ($first: Int!, $after: String) { … }",
    variables: { after: null, owner: "a" },
  },
  pagination: {
    type: "cursor",
    cursorPath: "data.issues.pageInfo.endCursor",
    cursorParam: "variables.after",
    sizeParam: "variables.first",
    hasMorePath: "data.issues.pageInfo.hasNextPage",
  },
};

describe("a request body", () => {
  it("A GraphQL connection is read to its end, with the cursor in the variables", async () => {
    const { api, ids } = await idsOf(graphql(), connection);
    expect(ids).toEqual(upTo(25));
    expect(
      api.asked.map(({ method, url, headers }) => [method, url.search, headers["content-type"]]),
    ).toEqual(upTo(3).map(() => ["POST", "", "application/json"]));
    expect(api.asked.map(({ body }) => (JSON.parse(body) as { variables: unknown }).variables)).toEqual([
      { after: null, owner: "a", first: 10 },
      { after: "10", owner: "a", first: 10 },
      { after: "20", owner: "a", first: 10 },
    ]);
  });

  it("A GraphQL connection is read as a stream that goes on where it stopped", async () => {
    const api = await serve(graphql());
    const drained = await drain({ ...connection, url: api.url, schema: "id int", maxPagesPerBatch: 1 });
    expect(drained.rows).toEqual(records(0, 25));
  });

  it.each<[unknown]>([[[{ message: "timeout" }]], ["busy"], [{ code: 1 }]])(
    "An answer with the errors %o is an error and not fewer rows, without its text in the message",
    async (errors) => {
      const { error } = await listError(graphql(errors), connection);
      expect(error).toMatchObject({ code: "ANSWER_HAS_ERRORS", retryable: true });
      expect(error.message).not.toMatch(/timeout|busy/);
      expect(error.found).toBe(JSON.stringify(errors));
    },
  );

  it.each<[unknown]>([[[]], [null], [undefined]])("An answer with the errors %o has none", async (errors) => {
    const respond: Respond = () => ({
      json: { data: { issues: { nodes: [], pageInfo: { endCursor: null, hasNextPage: false } } }, errors },
    });
    expect((await idsOf(respond, connection)).ids).toEqual([]);
  });

  it("Errors are looked for at errorsPath also without a body, and not at all if it is null", async () => {
    const respond: Respond = () => ({ json: { errors: [{ id: 1 }], failed: { list: [1] } } });
    const list: Partial<RestApiOptions> = { rows: "errors", pagination: { type: "none" } };
    expect((await idsOf(respond, list)).ids).toEqual([1]);
    expect((await idsOf(respond, { ...list, requestBody: {} })).ids).toEqual([1]);
    const { error } = await listError(respond, { ...list, errorsPath: "failed.list" });
    expect(error.code).toBe("ANSWER_HAS_ERRORS");
    const { ids } = await idsOf(respond, {
      ...list,
      rows: "failed.list",
      schema: "x int",
      errorsPath: null,
    }).catch((thrown: unknown) => ({ ids: [thrown] }));
    expect(ids).toMatchObject([{ code: "ROW_NOT_A_ROW" }]);
  });

  it("A body has numbers as numbers, and the query has them if paramsIn says so", async () => {
    const respond: Respond = ({ url, body }) => {
      const asked = { ...(JSON.parse(body) as { offset?: number }), ...Object.fromEntries(url.searchParams) };
      const from = Number(asked.offset);
      return { json: records(Math.min(from, 5), Math.min(from + 3, 5)) };
    };
    const options: Partial<RestApiOptions> = {
      pageSize: 3,
      requestBody: { kind: "a" },
      pagination: { type: "offset" },
    };
    const inBody = await idsOf(respond, options);
    expect([inBody.ids, inBody.api.asked[1]?.body]).toEqual([upTo(5), '{"kind":"a","offset":3,"limit":3}']);
    const inQuery = await idsOf(respond, { ...options, paramsIn: "query" });
    expect([inQuery.ids, inQuery.api.asked[1]?.body, inQuery.api.asked[1]?.url.search]).toEqual([
      upTo(5),
      '{"kind":"a"}',
      "?offset=3&limit=3",
    ]);
  });

  it("A time range is put into the body at its paths", async () => {
    const api = await serve(() => ({ json: [] }));
    await rowsIn(
      {
        url: api.url,
        schema: "id int, time timestamp",
        pagination: { type: "none" },
        requestBody: { filter: [{ field: "time" }, { field: "x" }] },
        timeRange: {
          startParam: "filter.0.from",
          endParam: "filter.0.to",
          format: "epochSeconds",
          start: "2026-01-01T00:00:00Z",
        },
      },
      { from: "2026-01-01T00:00:00Z", to: "2026-01-01T01:00:00Z" },
    );
    expect(JSON.parse(api.asked[0]?.body ?? "")).toEqual({
      filter: [{ field: "time", from: 1767225600, to: 1767229200 }, { field: "x" }],
    });
  });

  it("A POST request that reads is tried again after a failure", async () => {
    const first: Respond = (asked, count, response) =>
      count === 1 ? { status: 503 } : graphql()(asked, count, response);
    const { api, ids } = await idsOf(first, { ...connection, maxRetries: 1 });
    expect([ids, api.asked.length]).toEqual([upTo(25), 4]);
  });

  it("A secret in a body is read from the environment, and is in no offset and no partition", async () => {
    const env = { KEY: 's3"cret' };
    const api = await serve(({ body }) => {
      const { key, cursor } = JSON.parse(body) as { key: string; cursor?: { of: string } };
      if (key !== env.KEY || (cursor !== undefined && cursor.of !== `${env.KEY}!`)) return { status: 401 };
      return {
        json: {
          data: records(cursor === undefined ? 0 : 1, cursor === undefined ? 1 : 2),
          next: cursor === undefined ? { of: `${env.KEY}!` } : null,
        },
      };
    });
    const options: RestApiOptions = {
      url: api.url,
      schema: "id int",
      rows: "data",
      requestBody: { key: { env: "KEY" } },
      pagination: { type: "cursor", cursorPath: "next" },
    };
    const drained = await drain(options, { runtime: runtimeAt(0, env) });
    expect(drained.rows).toEqual(records(0, 2));
    expect(JSON.stringify([drained.offsets, drained.partitions])).not.toContain("cret");
    expect(await failure(() => readList(options))).toMatchObject({ code: "SECRET_MISSING" });
  });

  it("A cursor of the API that looks like a secret of the environment is sent as it is", async () => {
    const api = await serve(({ body }) => {
      const { cursor } = JSON.parse(body) as { cursor?: unknown };
      return {
        json: {
          data: records(cursor === undefined ? 0 : 1, cursor === undefined ? 1 : 2),
          next: cursor === undefined ? { env: "KEY" } : null,
        },
      };
    });
    await readList(
      { url: api.url, rows: "data", requestBody: {}, pagination: { type: "cursor", cursorPath: "next" } },
      runtimeAt(0, { KEY: "s3cret" }),
    );
    expect(JSON.parse(api.asked[1]?.body ?? "")).toMatchObject({ cursor: { env: "KEY" } });
  });

  it.each<[string, object, string]>([
    ["links", { requestBody: {}, pagination: { type: "link" } satisfies Pagination }, "requestBody"],
    ["paramsIn alone", { paramsIn: "body" }, "paramsIn"],
  ])("A body with %s is refused when the options are checked", async (_what, more, name) => {
    const error = await failure(() => parseOptions(RestApi, { url: "https://example.com", ...more }));
    expect(error).toMatchObject({ code: "OPTIONS_INVALID", message: expect.stringContaining(name) });
  });

  it.each<[unknown, Record<string, unknown>, unknown]>([
    [{ a: 1 }, { "b.c": 2, "b.d": 3 }, { a: 1, b: { c: 2, d: 3 } }],
    [{ a: { b: 1 } }, { "a.c": { x: 1, y: 2 } }, { a: { b: 1, c: { x: 1, y: 2 } } }],
    [{ a: [1, { b: 2 }] }, { "a.1.b": 3, "a.0": 4 }, { a: [4, { b: 3 }] }],
    [{ a: null }, { "a.b": 1 }, { a: { b: 1 } }],
    [{ a: 1 }, {}, { a: 1 }],
  ])("The template %o with the parameters %o is the body %o", (template, params, body) => {
    const before = structuredClone(template);
    expect(fillBody(template, params)).toEqual(body);
    expect(template).toEqual(before);
  });
});

describe("an OData service", () => {
  it("An OData list is followed by the whole key @odata.nextLink, and checked by @odata.count", async () => {
    const odata =
      (counted: number): Respond =>
      ({ url }) => {
        const from = Number(url.searchParams.get("$skiptoken") ?? 0);
        const next = { "@odata.nextLink": `${url.origin}/items?$count=true&$skiptoken=${from + 10}` };
        return {
          json: {
            "@odata.count": counted,
            value: records(from, Math.min(from + 10, 25)),
            ...(from < 20 ? next : {}),
          },
        };
      };
    const pagination: Pagination = { type: "next", nextPath: "@odata.nextLink" };
    const options: Partial<RestApiOptions> = { rows: "value", query: { $count: true } };
    const { error } = await listError(odata(25), { ...options, pagination });
    expect(`${error.code} ${error.hint}`).toMatch(/LIST_END_UNCLEAR .*as OData does, set `endOn: "missing"`/);
    expect(
      (await idsOf(odata(25), { ...options, pagination: { ...pagination, endOn: "missing" } })).ids,
    ).toEqual(upTo(25));
    const counted: Pagination = { ...pagination, endOn: "missing", totalPath: "@odata.count" };
    expect((await idsOf(odata(25), { ...options, pagination: counted })).ids).toEqual(upTo(25));
    expect((await listError(odata(26), { ...options, pagination: counted })).error.code).toBe(
      "LIST_END_UNCLEAR",
    );
  });
});
