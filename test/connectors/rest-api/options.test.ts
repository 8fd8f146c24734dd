import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { RestApi } from "../../../shared/connectors/rest-api/index.ts";
import type { MillraceError } from "../../../shared/contract/errors.ts";
import { parseOptions } from "../../../shared/contract/options/parse.ts";
import { failure, serve } from "../../support/api-server.ts";
import { drain } from "./draining-reader.ts";
import { failed } from "./one-answer.ts";
import { idsUpTo } from "./paginated-api.ts";

describe("options", () => {
  const invalid = (options: object): Promise<MillraceError> =>
    failure(() => parseOptions(RestApi, options as Record<string, unknown>));

  it("Options that are unknown or wrong are all named in one error", async () => {
    const error = await invalid({
      url: "ftp://example.com",
      schema: "",
      pagsize: 10,
      MAXRETRIES: -1,
      pagination: { type: "cursor" },
      timeRange: { startParam: "a", endParam: "b", start: "yesterday", zone: "UTC" },
    });
    expect(error).toMatchObject({
      code: "OPTIONS_INVALID",
      message: expect.stringMatching(/^rest-api cannot use its options:/),
    });
    for (const name of [
      "url",
      "schema",
      "pagsize: there is no such option (did you mean pageSize?)",
      "maxRetries",
      "pagination.cursorPath",
      "timeRange.start",
      'timeRange: Unrecognized key: "zone"',
    ]) {
      expect(error.message).toContain(name);
    }
  });

  it("The errors of options never show a value, which may be a misplaced secret", async () => {
    const error = await invalid({
      url: "s3cret",
      schema: "id int",
      bearerToken: "s3cret",
      headers: { a: 1 },
    });
    expect(inspect(error)).not.toContain("s3cret");
    expect(error.message).toContain("bearerToken");
  });

  it("The error of options that name columns lists those of the schema", async () => {
    const error = await failed({ json: [{}] }, { columns: { ghost: "a" } });
    expect(error).toMatchObject({ code: "OPTIONS_INVALID", message: expect.stringContaining("ghost") });
  });

  it("The source needs no options but url and schema", async () => {
    const api = await serve(({ url }) => {
      const from = Number(url.searchParams.get("offset"));
      return { json: idsUpTo(150).slice(from, from + Number(url.searchParams.get("limit"))) };
    });
    const { batches } = await drain({ url: api.url, schema: "id int" });
    expect(batches).toEqual([[100, 50]]);
    expect(api.asked[0]?.headers.accept).toBe("application/json");
  });
});
