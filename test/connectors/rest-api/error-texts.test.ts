import { describe, expect, it } from "vitest";
import { excerptOf } from "../../../shared/connectors/kit/http/excerpt.ts";
import type { RestApiOptions } from "../../../shared/connectors/rest-api/index.ts";
import { runtimeAt } from "../../support/api-server.ts";
import { failed } from "./one-answer.ts";

describe("what an API says with an error", () => {
  it.each<[string, string, string | undefined]>([
    ["GitHub", '{"message":"Bad credentials","documentation_url":"https://x"}', "Bad credentials"],
    [
      "problem+json",
      '{"type":"about:blank","title":"Bad Request","status":400,"detail":"limit must be at most 50"}',
      "Bad Request: limit must be at most 50",
    ],
    ["Google", '{"error":{"code":403,"message":"Quota exceeded","status":"X"}}', "403: X: Quota exceeded"],
    ["JSON:API", '{"errors":[{"title":"Invalid","detail":"no such field"}]}', "Invalid: no such field"],
    [
      "GitHub with details",
      '{"message":"Validation Failed","errors":[{"resource":"Search","field":"q","code":"missing"}]}',
      "Validation Failed: missing: q",
    ],
    [
      "Spring",
      '{"status":400,"error":"Bad Request","message":"limit is too large"}',
      "Bad Request: limit is too large",
    ],
    ["names with dots", '{"error.code":"x","error":{"code":7,"message":"no"}}', "7: no"],
    ["GraphQL", '{"errors":[{"message":"Field x is unknown"}]}', "Field x is unknown"],
    ["OAuth2", '{"error":"invalid_scope","error_description":"no"}', "invalid_scope: no"],
    ["Salesforce", '[{"errorCode":"REQUEST_LIMIT","message":"too many"}]', "REQUEST_LIMIT: too many"],
    ["a text", "upstream\r\n connect\terror", "upstream connect error"],
    ["a JSON text", '"sorry"', "sorry"],
    ["another JSON", '{"ok":false}', '{"ok":false}'],
    ["HTML", "<!doctype html><style>a{}</style><h1>502</h1><p>Bad   gateway", "502 Bad gateway"],
    ["escapes", "a\u001b[31mb\u001b]0;title\u0007c\u009b2Jd\u202ee\u0000f", "a b c 2Jd e f"],
    ["an empty body", " \n", undefined],
  ])("The excerpt of an answer in the form of %s is its reason in one line", (_form, body, excerpt) => {
    expect(excerptOf(body, (text) => text)).toBe(excerpt);
  });

  it("The excerpt of an answer is bounded, and secrets are concealed before it is cut", () => {
    const excerpt = excerptOf(`${"x".repeat(490)}secret-secret`, (text) =>
      text.replace("secret-secret", "…"),
    );
    expect(excerpt).toBe(`${"x".repeat(490)}…`);
    expect(excerptOf("é".repeat(100_000), (text) => text)).toHaveLength(500);
  });

  it.each([400, 503])(
    "The error of status %d shows on the terminal what the API said, and stores no word",
    async (status) => {
      const error = await failed(
        { status, json: { message: "limit must be at most 50" } },
        { maxRetries: 0 },
      );
      expect(error.found).toBe("limit must be at most 50");
      expect(JSON.stringify(error.toRecord())).not.toContain("at most");
    },
  );

  it("The error of a body that is not JSON shows the start of it", async () => {
    const error = await failed({ text: "<html><body>Please sign in</body></html>" });
    expect(error).toMatchObject({ code: "HTTP_NOT_JSON", found: "Please sign in" });
  });

  const env = { TOKEN: 's3cr3t/"<t>o+k é&n', KEY: "k1", TWO: "s3cr3t" };
  const options: Partial<RestApiOptions> = {
    bearerToken: { env: "TOKEN" },
    query: { key: { env: "KEY" } },
    headers: { "x-two": { env: "TWO" }, "x-api-key": "plain-k3y", authorization: "Basic cGxhaW46cHc=" },
    maxRetries: 0,
  };
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  const base64url = (text: string): string => Buffer.from(text).toString("base64url");
  it.each<[string, (secret: string) => string]>([
    ["as it is", (secret) => `no ${secret}!`],
    ["as a part of a word", (secret) => `no${secret}no`],
    ["percent-encoded", (secret) => encodeURIComponent(secret)],
    ["percent-encoded in lower case", (secret) => encodeURIComponent(secret).toLowerCase()],
    ["as a form", (secret) => new URLSearchParams({ a: secret }).toString()],
    ["as JSON text", (secret) => `x ${JSON.stringify({ a: secret })}`],
    [
      "as ASCII JSON",
      (secret) =>
        `x "${secret.replace(/[^a-z0-9]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`)}"`,
    ],
    ["as PHP's JSON", (secret) => `x ${JSON.stringify(secret).replaceAll("/", "\\/")}`],
    ["as JSON", (secret) => JSON.stringify({ message: secret })],
    ["as HTML", (secret) => secret.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`)],
    [
      "as HTML with names",
      (secret) =>
        secret
          .replaceAll("&", "&amp;")
          .replaceAll("<", "&lt;")
          .replaceAll(">", "&gt;")
          .replaceAll('"', "&quot;"),
    ],
    ["in base64", base64],
    ["in base64 after one byte", (secret) => base64(`:${secret}`)],
    ["in base64 after two bytes", (secret) => base64(`a:${secret}:b`)],
    ["in base64url after a name", (secret) => base64url(`name:${secret}`)],
    ["in base64 that is percent-encoded", (secret) => encodeURIComponent(base64(secret))],
  ])("A secret that an error answer repeats %s is not shown", async (_how, write) => {
    const error = await failed({ status: 400, text: write(env.TOKEN) }, options, runtimeAt(0, env));
    expect(error.found).toContain("{env:TOKEN}");
    const shown = error.found ?? "";
    expect(decodeURIComponent(shown.replace(/%(?![0-9a-f]{2})/gi, "%25"))).not.toMatch(/s3cr3t|o\+k/);
    for (const part of shown.match(/[\w+/-]{4,}/g) ?? []) {
      for (const cut of [0, 1, 2, 3]) {
        expect(Buffer.from(part.slice(cut), "base64").toString("latin1")).not.toMatch(/s3cr|3cr3|cr3t/);
      }
    }
  });

  it("Short secrets, and values of the options that are named like secrets, are not shown", async () => {
    const text = 'key=k1 "k1" k12 plain-k3y, Basic cGxhaW46cHc= cGxhaW46cHc= {"session_token":"abc"} sig=xyz';
    const error = await failed({ status: 400, text }, options, runtimeAt(0, env));
    expect(error.found).not.toMatch(/k1[^2]|plain-k3y|cGxhaW|abc|xyz/);
    expect(error.found).toContain("k12");
  });
});
