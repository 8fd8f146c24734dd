import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startFeed } from "../../examples/earthquakes/feed.ts";
import { PACKAGE } from "../support/package.ts";
import { millrace } from "../support/process.ts";
import { ROOT } from "../support/root.ts";
import { typeCheck } from "../support/type-check.ts";

const README = readFileSync(join(ROOT, "README.md"), "utf8");
/** The files of the pipelines that README.md shows. */
const FILES = ["earthquakes.ts", "orders.ts", "log.ts"];
const FEED = "https://earthquake.usgs.gov/fdsnws/event/1/query";

describe("the front page", () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-readme-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  beforeAll(() => {
    mkdirSync(join(folder, "node_modules"));
    writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
    const packages = [PACKAGE, "parquet-wasm"];
    const flags = ["--no-audit", "--no-fund", "--ignore-scripts"];
    const install = spawnSync("npm", ["install", ...flags, ...packages], { cwd: folder, encoding: "utf8" });
    expect(install.status, install.stderr).toBe(0);
    for (const name of FILES) writeFileSync(join(folder, name), codeOf(name));
  });

  it("README.md shows pipelines of at most 35 lines that type-check in strict mode", () => {
    for (const name of FILES) expect(codeOf(name).trim().split("\n").length).toBeLessThanOrEqual(35);
    expect(typeCheck(folder, FILES)).toBe("");
  });

  it("README.md shows what the pipeline of the feed prints", async () => {
    const feed = await startFeed();
    writeFileSync(join(folder, "earthquakes.ts"), codeOf("earthquakes.ts").replace(FEED, feed.url));
    const run = await millrace(["run", "earthquakes.ts"], {}, folder);
    const again = await millrace(["run", "earthquakes.ts"], {}, folder);
    await feed.close();
    const cat = await millrace(["cat", "earthquakes", "--limit", "4"], {}, folder);
    const shown = /```\n(earthquakes [\s\S]*?)```/.exec(README)?.[1] ?? "";
    expect(withoutTimes(run.stderr + run.stdout + cat.stdout)).toEqual(withoutTimes(shown));
    expect(again.stderr).toMatch(/\nnothing new\n$/);
  });

  it("README.md shows a pipeline that reads a whole list, and replaces the table at each run", async () => {
    const orders = Array.from({ length: 150 }, (_, i) => ({
      id: i + 1,
      created_at: "2026-11-21T08:00:00Z",
      total: "12.50",
      customer: { name: `customer ${i + 1}` },
    }));
    const server = createServer(({ url = "/", headers }, response) => {
      const { searchParams: query } = new URL(url, "http://127.0.0.1");
      const [page, size] = [Number(query.get("page")), Number(query.get("per_page"))];
      const data = orders.slice((page - 1) * size, page * size);
      response.statusCode = headers.authorization === "Bearer secret" ? 200 : 401;
      response.end(JSON.stringify({ data }));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const code = codeOf("orders.ts").replace("https://api.example.com", `http://127.0.0.1:${port}`);
    writeFileSync(join(folder, "orders.ts"), code);
    for (let run = 0; run < 2; run++) {
      const { code: exitCode, stderr } = await millrace(
        ["run", "orders.ts"],
        { API_TOKEN: "secret" },
        folder,
      );
      expect([exitCode, stderr]).toEqual([0, expect.stringContaining("committed: 150 rows")]);
    }
    server.close();
    const { stdout } = await millrace(["cat", "orders", "--json"], {}, folder);
    const rows = stdout.trim().split("\n");
    expect(rows).toHaveLength(150);
    expect(JSON.parse(rows[0] ?? "")).toMatchObject({ id: 1, total: "12.50", customer: "customer 1" });
  });

  it("README.md shows a source of your own that reads each line once", async () => {
    const shown = [...README.matchAll(/npx millrace run log\.ts +# (.*)/g)].map((match) => match[1] ?? "");
    expect(shown.length).toBe(2);
    for (const [i, text] of ["one\ntwo\n", "three\n"].entries()) {
      appendFileSync(join(folder, "app.log"), text);
      const { code, stderr } = await millrace(["run", "log.ts"], {}, folder);
      expect([code, stderr]).toEqual([0, expect.stringContaining(shown[i] ?? "")]);
    }
    const { stdout } = await millrace(["cat", "log", "--json"], {}, folder);
    expect(stdout).toBe('{"line":0,"text":"one"}\n{"line":1,"text":"two"}\n{"line":2,"text":"three"}\n');
  });

  it("README.md has a row in its table, and a page, for each connector of the package", () => {
    const { exports } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { exports: object };
    const names = Object.keys(exports).flatMap((name) => /^\.\/connectors\/(.+)$/.exec(name)?.[1] ?? []);
    expect(names.length).toBeGreaterThan(9);
    const rows = README.match(/^\| \[`.*/gm)?.join("\n") ?? "";
    for (const name of names)
      expect(rows).toContain(`[\`${name}\`](https://github.com/millrace/millrace/blob/main/docs/${name}.md)`);
  });

  it("README.md has absolute links only, because npm shows it too, and they lead to files and headings", () => {
    const repository =
      /^https:\/\/(?:github\.com\/millrace\/millrace\/blob|raw\.githubusercontent\.com\/millrace\/millrace)\/main\//;
    const links = [...README.matchAll(/\]\(([^)]+)\)/g)].map((match) => match[1] ?? "");
    expect(links.filter((link) => !/^(https:|#)/.test(link))).toEqual([]);
    const own = links.filter((link) => repository.test(link)).map((link) => link.replace(repository, ""));
    expect(own.length).toBeGreaterThan(20);
    const pages = [...own, ...links.filter((link) => link.startsWith("#")).map((link) => `README.md${link}`)];
    expect(pages.filter((page) => !isThere(page))).toEqual([]);
  });
});

/** Returns the code of the file `name`. The first line of a snippet names its file. */
function codeOf(name: string): string {
  const code = README.split(`\`\`\`ts\n// ${name}\n`)[1]?.split("```")[0];
  if (code === undefined) throw new Error(`README.md has no ${name}`);
  return code;
}

/**
 * Returns the lines of a run without times, column widths and the home, which differ between runs.
 */
function withoutTimes(text: string): string[] {
  return text
    .replaceAll(/\d+(\.\d+)? m?s\b/g, "TIME")
    .replaceAll(/ in \S+\/\.millrace/g, " in HOME")
    .replaceAll(/-{2,}/g, "--")
    .replaceAll(/ +/g, " ")
    .trim()
    .split("\n");
}

/**
 * Returns true if the file of a link exists and, if the link has an anchor, the heading exists too.
 */
function isThere(page: string): boolean {
  const [path = "", anchor] = page.split("#");
  if (!existsSync(join(ROOT, path))) return false;
  const headings = readFileSync(join(ROOT, path), "utf8").match(/^#+ .*$/gm) ?? [];
  return anchor === undefined || headings.some((heading) => anchorOf(heading) === anchor);
}

/** Returns the anchor of a heading in the form that GitHub uses. */
function anchorOf(heading: string): string {
  return heading
    .replace(/^#+ /, "")
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");
}
