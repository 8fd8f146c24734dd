import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { serve, serveRows } from "../support/api-server.ts";
import { temporaryFolder } from "../support/folder.ts";
import { PACKAGE } from "../support/package.ts";
import { filesBelow, millrace } from "../support/process.ts";

const TOKEN = "s3cret-access-token";

describe("the threads of a run", () => {
  it("Threads share the pace of requests and one access token, which is nowhere in the home", async () => {
    const times: number[] = [];
    const tokens = await serve(() => ({
      json: { access_token: TOKEN, token_type: "Bearer", expires_in: 600 },
    }));
    const from = await serve(({ url, headers }) => {
      times.push(performance.now());
      if (headers.authorization !== `Bearer ${TOKEN}`) return { status: 403 };
      return { json: [{ since: url.searchParams.get("since") }] };
    });
    const to = await serveRows(({ headers }) =>
      headers.authorization === `Bearer ${TOKEN}` ? undefined : { status: 403 },
    );
    const home = temporaryFolder();
    const args = ["run", join(PACKAGE, "test/e2e/pipelines/rest-threads.ts"), "--home", home, "--json"];
    const { code, stdout, stderr } = await millrace([...args, "--max-concurrency", "4"], {
      TOKEN_URL: tokens.url,
      COPY_FROM: from.url,
      COPY_TO: to.url,
      CLIENT_SECRET: "s3cret",
    });
    expect(code, stderr).toBe(0);
    expect(new Set(to.rows.map((row) => row["since"])).size).toBe(12);
    expect(tokens.asked).toHaveLength(1);
    expect(times).toHaveLength(12);
    // Each of the eleven requests after the first comes 100 ms later, but the first may be late.
    expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(1000);
    const kept = filesBelow(home).filter((file) => readFileSync(join(home, file)).includes("s3cret"));
    expect([kept, stdout.includes("s3cret"), stderr.includes("s3cret")]).toEqual([[], false, false]);
  });
});
