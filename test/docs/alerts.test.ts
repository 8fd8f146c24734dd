import { execFile } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { describe, expect, it } from "vitest";
import { Project } from "../cli/project.ts";
import { serve } from "../support/api-server.ts";
import { PACKAGE } from "../support/package.ts";
import { ROOT } from "../support/root.ts";

/** The scripts that the page shows, by name. */
const SCRIPTS: ReadonlyMap<string, string> = new Map(
  [...readFileSync(join(ROOT, "docs/alerts.md"), "utf8").matchAll(/```sh\n# (\S+)\n([\s\S]*?)```/g)].map(
    ([, name = "", code = ""]) => [name, code],
  ),
);

/** A project with `orders.ts`, whose batch fails, and with `npx` and `mail` on its path. */
function failingOrders(): Project {
  const project = new Project();
  project.write("orders.ts", project.read("pipeline.ts").replace('"recover"', '"orders"'));
  project.write("count", "4");
  project.write("poison", "1");
  mkdirSync(project.path("bin"));
  const command = (name: string, script: string) => {
    project.write(`bin/${name}`, `#!/bin/sh\n${script}\n`);
    chmodSync(project.path(`bin/${name}`), 0o755);
  };
  command("npx", `shift; exec "${process.execPath}" "${join(PACKAGE, "bin/millrace.mjs")}" "$@"`);
  command("mail", 'printf "%s\\n" "$@" > mail.txt; cat >> mail.txt');
  return project;
}

/** Runs a script of the page in the project. */
async function run(project: Project, name: string, env: Record<string, string> = {}, url?: string) {
  const script = SCRIPTS.get(name) ?? "exit 99";
  writeFileSync(project.path(name), url === undefined ? script : script.replace(/https:\S+/, url));
  const path = [project.path("bin"), process.env["PATH"]].join(delimiter);
  const options = { cwd: project.folder, env: { ...process.env, ...project.env, ...env, PATH: path } };
  return await new Promise<{ readonly code: number; readonly stdout: string }>((resolve) => {
    const child = execFile("sh", [name], options, (_error, stdout) =>
      resolve({ code: child.exitCode ?? -1, stdout }),
    );
  });
}

describe("the page on alerts", () => {
  it("The check of the page prints nothing if all is well, and why it is not otherwise", async () => {
    const project = failingOrders();
    project.remove("poison");
    await project.millrace(["run", "orders.ts"]);
    expect(await run(project, "check.sh")).toMatchObject({ code: 0, stdout: "" });
    project.write("poison", "5");
    project.write("count", "8");
    await project.millrace(["run", "orders.ts", "--max-attempts", "1"]);
    expect((await run(project, "check.sh")).stdout).toMatch(/^orders: failing: batch 1, /);
  });

  it("The commands of the page get a failure as JSON, and mail it", async () => {
    const project = failingOrders();
    expect((await run(project, "run.sh")).code).toBe(1);
    expect(JSON.parse(project.read("failures.jsonl"))).toMatchObject({ type: "failure", pipeline: "orders" });
    expect((await run(project, "mail.sh")).code).toBe(1);
    expect(project.read("mail.txt")).toMatch(
      /^-s\norders failed\noncall@example\.com\nmillrace: orders: batch 0, attempt 2 failed: SOURCE_FAILED/,
    );
  });

  it("The webhooks of the page post the text of a failure as the services want it", async () => {
    const hook = await serve(() => ({}));
    const project = failingOrders();
    expect((await run(project, "slack.sh", {}, hook.url)).code).toBe(1);
    expect((await run(project, "discord.sh", { DISCORD_URL: hook.url })).code).toBe(1);
    const [slack, discord] = hook.asked.map(({ body }) => JSON.parse(body) as Record<string, unknown>);
    expect(slack).toMatchObject({ text: expect.stringContaining("orders: batch 0, attempt 1") as string });
    expect(discord).toEqual({ content: expect.stringContaining("orders: batch 0, attempt 2") as string });
  });
});
