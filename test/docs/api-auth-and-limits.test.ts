import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Asked, type Reply, serve } from "../support/api-server.ts";
import { Page } from "../support/page.ts";
import type { UserFolder } from "../support/shell.ts";

const PAGE = new Page("docs/api-auth-and-limits.md");
const RUN = PAGE.commands().replace("…", "s3cret");
const BASIC = `Basic ${Buffer.from("reports:s3cret").toString("base64")}`;

/** An API of 250 invoices, whose tokens are good for two requests. */
class Invoices {
  readonly limits: Reply[] = [];
  #token = 0;
  #uses = 0;

  respond({ url, headers, body }: Asked): Reply {
    if (url.pathname.endsWith("/token")) return this.#grant(headers.authorization, new URLSearchParams(body));
    const limit = this.limits.pop();
    if (limit !== undefined) return limit;
    if (headers.authorization !== `Bearer token-${this.#token}` || this.#uses++ >= 2)
      return { status: 401, json: { message: "token expired" } };
    const [page, size] = [Number(url.searchParams.get("page")), Number(url.searchParams.get("per_page"))];
    const ids = Array.from({ length: 250 }, (_, i) => ({ id: i + 1, total: "9.90" }));
    return { json: ids.slice((page - 1) * size, page * size) };
  }

  #grant(authorization: string | undefined, form: URLSearchParams): Reply {
    const isClient = form.get("grant_type") === "client_credentials" && authorization === BASIC;
    const isRefresh = form.get("grant_type") === "refresh_token" && form.get("refresh_token") === "r3fresh";
    if (!isClient && !isRefresh) return { status: 401, json: { error: "invalid_client" } };
    this.#token++;
    this.#uses = isRefresh ? -1000 : 0;
    return { json: { access_token: `token-${this.#token}`, token_type: "Bearer", expires_in: 3600 } };
  }
}

/** The page's folder, whose pipeline asks a local server. */
async function served(edit: (code: string) => string = (code) => code) {
  const invoices = new Invoices();
  const api = await serve((asked) => invoices.respond(asked));
  const { origin } = new URL(api.url);
  const toLocal = (code: string) =>
    code.replaceAll("https://api.example.com", origin).replaceAll("https://login.example.com", origin);
  const user = PAGE.folder((code) =>
    edit(toLocal(code)).replace("requestsPerSecond: 5", "requestsPerSecond: 50"),
  );
  return { invoices, api, user, toLocal };
}

async function rowsIn(user: UserFolder): Promise<number> {
  return (await user.run("npx millrace cat invoices --json")).trimEnd().split("\n").length;
}

describe("the page on OAuth2 and rate limits", () => {
  it("Tokens that expire in the middle and an answer 429 with Retry-After lose and double no row", async () => {
    const { invoices, api, user } = await served();
    invoices.limits.push({ status: 429, headers: { "retry-after": "1" } });
    expect(await user.run(RUN)).toContain("batch 0 committed: 250 rows");
    const tokens = api.asked.filter(({ url }) => url.pathname === "/oauth2/token");
    expect(tokens.length).toBeGreaterThan(2);
    expect(new URLSearchParams(tokens[0]?.body).get("scope")).toBe("invoices.read");
    expect(invoices.limits).toEqual([]);
    expect(await rowsIn(user)).toBe(250);
  });

  it("The script of the page gets an access token by a refresh token", async () => {
    const { user, toLocal } = await served((code) =>
      code.replace(/oauth2: \{[^}]*\}[^}]*\}/, 'bearerToken: { env: "API_TOKEN" }'),
    );
    writeFileSync(join(user.path, "invoices.sh"), toLocal(PAGE.commands("A refresh token")));
    await user.run("REPORTS_SECRET=s3cret REFRESH_TOKEN=r3fresh sh -e invoices.sh");
    expect(await rowsIn(user)).toBe(250);
  });

  it("The errors of the page are those that it names", async () => {
    const { invoices, user } = await served();
    const run = async (secret: string) =>
      await user.run(`export ${secret}\nnpx millrace run invoices.ts || echo "exit code $?"`);
    expect(await run("OTHER=1")).toMatch(/^error SECRET_MISSING: [\s\S]*exit code 2\n$/);
    expect(await run("REPORTS_SECRET=wrong")).toMatch(/error ACCESS_TOKEN_FAILED: .*\(invalid_client\)/);
    invoices.limits.push({ status: 429, headers: { "retry-after": "3600" } });
    const limited = await run("REPORTS_SECRET=s3cret");
    expect(limited).toMatch(/error HTTP_STATUS: .* answered 429/);
    expect(limited).toContain("asks to wait 3600 s, which is longer than maxRetryDelaySeconds (60)");
    const denied = { status: 401, json: { message: "no scope" } };
    invoices.limits.push(denied, denied);
    expect(await run("REPORTS_SECRET=s3cret")).toMatch(
      /error HTTP_STATUS: .* answered 401\n +found: no scope/,
    );
    expect(await user.run("npx millrace status invoices")).toContain("HTTP_STATUS");
    expect(await run("REPORTS_SECRET=s3cret")).toContain("committed: 250 rows");
  });
});
