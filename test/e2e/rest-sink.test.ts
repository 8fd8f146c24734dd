import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { type Fault, type JsonRow, serve, serveRows } from "../support/api-server.ts";
import { temporaryFolder } from "../support/folder.ts";
import { PACKAGE } from "../support/package.ts";
import { filesBelow, killTree, millrace, startMillrace } from "../support/process.ts";

const COPY = join(PACKAGE, "test/e2e/pipelines/rest-copy.ts");

const items: JsonRow[] = Array.from({ length: 57 }, (_, id) => ({ id, word: `word ${id}` }));

/**
 * Starts an API that serves items and an API that accepts them. Returns the command that copies the
 * items.
 */
async function copying(fault: (count: number) => Fault) {
  const from = await serve(({ url }) => {
    const offset = Number(url.searchParams.get("offset"));
    return { json: items.slice(offset, offset + Number(url.searchParams.get("limit"))) };
  });
  const to = await serveRows((_asked, count) => fault(count));
  const home = temporaryFolder();
  const args = ["run", COPY, "--home", home, "--json"];
  const env = (more: Record<string, string> = {}) => ({
    COPY_FROM: from.url,
    COPY_TO: to.url,
    COPY_TOKEN: "s3cret-token",
    ...more,
  });
  return { to, home, args, env };
}

const byId = (rows: readonly JsonRow[]) => [...rows].sort((a, b) => Number(a["id"]) - Number(b["id"]));

describe("rows that are sent to an API", () => {
  it("Rows reach an API once each, though the run is killed meanwhile and continues with other options", async () => {
    // The API processes the eighth request but never answers it. The run is killed at that moment.
    const { to, home, args, env } = await copying((count) => (count === 8 ? "hang after" : undefined));
    const killed = startMillrace(args, env());
    for (let i = 0; i < 1000 && to.asked.length < 8; i++) await setTimeout(10);
    killTree(killed.process);
    await killed.ended;
    expect(to.asked.length).toBeGreaterThanOrEqual(8);
    expect(to.rows.length).toBeLessThan(items.length);

    const resumed = await millrace(args, env({ COPY_ROWS: "3" }));
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(resumed.stdout).toContain('"resumed":true');
    expect(byId(to.rows)).toEqual(items);
    expect(to.repeated.length).toBeGreaterThan(0);
    expect(to.asked.every(({ headers }) => headers.authorization === "Bearer s3cret-token")).toBe(true);

    const kept = filesBelow(home).map((file) => readFileSync(join(home, file)).includes("s3cret"));
    expect(kept).not.toContain(true);
    expect(readdirSync(join(home, "copy/staging/rest-api"), { recursive: true })).toHaveLength(2);
  });

  it("Rows reach an API once each through cut connections, two 500s, and a 429 with Retry-After", async () => {
    const faults: Record<number, Fault> = {
      2: "cut after",
      4: "cut before",
      6: { status: 500 },
      7: { status: 500 },
      9: { status: 429, headers: { "retry-after": "0" } },
      13: "cut after",
    };
    const { to, args, env } = await copying((count) => faults[count]);
    const { code, stderr, stdout } = await millrace(args, env());
    expect(code, stderr).toBe(0);
    expect(stdout).toContain('{"type":"ended","batches":3,"rows":57}');
    expect(byId(to.rows)).toEqual(items);
    expect(to.repeated).toHaveLength(2);
  });

  it("Rows that the API refuses abort the batch, which the next run sends again once the API takes them", async () => {
    let isBroken = true;
    const { to, args, env } = await copying((count) => (isBroken && count > 6 ? { status: 422 } : undefined));
    const failed = await millrace(args, env());
    expect(failed.code).toBe(1);
    expect(failed.stdout).toMatch(/POST http:\S+\/items answered 422 for rows \d+ to \d+/);
    expect(failed.stdout + failed.stderr).not.toMatch(/s3cret|word \d/);

    isBroken = false;
    expect((await millrace(args, env())).code).toBe(0);
    expect(byId(to.rows)).toEqual(items);
  });
});
