import { describe, expect, it } from "vitest";
import type { RestApiOptions } from "../../../shared/connectors/rest-api/index.ts";
import type { Reply, Respond } from "../../support/api-server.ts";
import { idsOf, listError, records } from "./reading-list.ts";

const none: Partial<RestApiOptions> = { rows: "data.items", pagination: { type: "none" } };

describe("an answer without rows", () => {
  it.each<[string, Reply]>([
    ["status 204", { status: 204, text: "" }],
    ["status 205", { status: 205, text: "" }],
    ["null", { json: null, text: "null" }],
    ["an empty array", { json: { data: { items: [] } } }],
    ["null in place of the array", { json: { data: { items: null } } }],
  ])("An answer that is %s has no rows", async (_what, reply) => {
    expect((await idsOf(() => reply, none)).ids).toEqual([]);
  });

  it.each<[string, Reply]>([
    ["an empty body", { text: "" }],
    ["an empty object", { json: {} }],
    ["an object without the array", { json: { data: { count: 0 } } }],
    ["null above the array", { json: { data: null } }],
    ["an empty object in place of the array", { json: { data: { items: {} } } }],
    ["empty text in place of the array", { json: { data: { items: "" } } }],
  ])(
    'An answer that is %s is an error that names missingRows: "empty", which takes it',
    async (_what, reply) => {
      const { error, text } = await listError(() => reply, none);
      expect(error.code).toBe("ROWS_NOT_FOUND");
      expect(text).toContain('`missingRows: "empty"`');
      expect((await idsOf(() => reply, { ...none, missingRows: "empty" })).ids).toEqual([]);
    },
  );

  it.each<[string, Reply]>([
    ["an object with other keys in place of the array", { json: { data: { items: { "1": { id: 1 } } } } }],
    ["text in place of the array", { json: { data: { items: "none" } } }],
  ])('An answer that is %s is an error, also with missingRows: "empty"', async (_what, reply) => {
    const { error } = await listError(() => reply, { ...none, missingRows: "empty" });
    expect(error.code).toBe("ROWS_NOT_FOUND");
    expect(error.hint).not.toContain("missingRows");
  });

  it("A page that is an HTML page is an error, whatever missingRows says", async () => {
    const { error } = await listError(() => ({ text: "<!doctype html>" }), { ...none, missingRows: "empty" });
    expect(error.code).toBe("HTTP_NOT_JSON");
  });

  it("A total of 0 says that the array may be missing", async () => {
    const options: Partial<RestApiOptions> = { ...none, pagination: { type: "none", totalPath: "total" } };
    expect((await idsOf(() => ({ json: { total: 0 } }), options)).ids).toEqual([]);
    expect((await listError(() => ({ json: { total: 1 } }), options)).error.code).toBe("ROWS_NOT_FOUND");
  });

  it("An answer that loses its array in the middle of a list is an error, not the end", async () => {
    const respond: Respond = ({ url }) =>
      url.searchParams.get("offset") === "0"
        ? { json: { data: records(0, 3) } }
        : { json: { error: "busy" } };
    const { error } = await listError(respond, { rows: "data", pagination: { type: "offset" } });
    expect(error).toMatchObject({ code: "ROWS_NOT_FOUND", message: expect.stringContaining('"error"') });
  });
});
