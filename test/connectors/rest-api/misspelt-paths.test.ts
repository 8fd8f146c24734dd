import { describe, expect, it } from "vitest";
import type { Pagination } from "../../../shared/connectors/rest-api/index.ts";
import { idsOf, listError, records, upTo } from "./reading-list.ts";

describe("paths that are misspelt", () => {
  it("A misspelt path to the cursor is an error that has the right one, whatever ends the list", async () => {
    const json = { data: records(0, 10), next_cursor: "c2" };
    const pagination = { type: "cursor", cursorPath: "nextCursor", endOn: "missing" } as const;
    const { error } = await listError(() => ({ json }), { rows: "data", pagination });
    expect(error).toMatchObject({
      code: "LIST_END_UNCLEAR",
      hint: 'Set cursorPath: ["next_cursor"] in pagination.',
    });
  });

  it("A missing cursor is not called the end of the list if the answer tells of more rows", async () => {
    const json = { data: records(0, 10), has_more: true, after: "c2" };
    const pagination = { type: "cursor", cursorPath: "cursor" } as const;
    const { error } = await listError(() => ({ json }), { rows: "data", pagination });
    expect(error).toMatchObject({
      code: "LIST_END_UNCLEAR",
      hint: 'Correct cursorPath: the answer has "has_more", which tells of more rows.',
    });
  });

  it('A misspelt path to the rows is an error also with missingRows: "empty"', async () => {
    const json = { line_items: records(0, 10) };
    const { error } = await listError(() => ({ json }), {
      rows: "lineItems",
      missingRows: "empty",
      pagination: { type: "none" },
    });
    expect(error).toMatchObject({
      code: "ROWS_NOT_FOUND",
      hint: 'Set the option rows to the path of the array, such as ["line_items"].',
    });
  });

  const part = { data: records(0, 10) };
  it.each<[string, Pagination, object]>([
    ['"missing"', { type: "cursor", cursorPath: "cursor", endOn: "missing" }, { meta: { next_cursor: "c" } }],
    [
      '"missing"',
      { type: "cursor", cursorPath: "a.b", endOn: "missing" },
      { p: { q: { hasNextPage: true } } },
    ],
    ['"missing"', { type: "next", nextPath: "link", endOn: "missing" }, { "@odata.nextLink": "/items?2" }],
    ['"missing"', { type: "link", endOn: "missing" }, { next: "/items?2" }],
    ['"repeated"', { type: "cursor", cursorPath: "c", endOn: "repeated" }, { c: "c", has_more: true }],
    ['"short"', { type: "offset", endOn: "short" }, { total: 25 }],
    ["no pagination", { type: "none" }, { count: 11 }],
  ])(
    "A list that would end by %s is an error if its answer tells of more rows",
    async (_end, pagination, more) => {
      const respond = () => ({ json: { ...part, ...more } });
      const { error } = await listError(respond, { rows: "data", pageSize: 100, pagination });
      expect(error).toMatchObject({
        code: "LIST_END_UNCLEAR",
        message: expect.stringContaining("which tells of more rows"),
        hint: expect.stringContaining("set hasMorePath to null"),
      });
      const silenced = { ...pagination, hasMorePath: null };
      const { ids } = await idsOf(respond, { rows: "data", pageSize: 100, pagination: silenced });
      expect(ids).toEqual(upTo(10));
    },
  );

  it.each([
    ["Amount", { amount: 1 }, "amount"],
    ["customerId", { "customer.id": 1 }, "customer.id"],
    ["customer_id", { "customer.id": 1 }, "customer.id"],
  ])("The path %j is an error if the records have %j instead", async (path, record, found) => {
    const respond = () => ({ json: [record] });
    const columns = { amount: path };
    const { error } = await listError(respond, {
      schema: "amount int",
      columns,
      pagination: { type: "none" },
    });
    expect(error).toMatchObject({ code: "COLUMN_MISNAMED", hint: expect.stringContaining(found) });
  });

  it("An error of a path that leads nowhere lists the names that are beside its end", async () => {
    const json = { data: { invoices: records(0, 1), page: 1 } };
    const { error } = await listError(() => ({ json }), { rows: "data.invoice" });
    expect(error.message).toContain('"data" has the keys "invoices", "page"');
  });
});
