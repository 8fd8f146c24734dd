import { execFile, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { promisify } from "node:util";
import { describe, expect, it, onTestFinished } from "vitest";
import { MillraceError } from "../../shared/contract/errors.ts";
import { endsRun, FINAL } from "../../shared/engine/run/recovery.ts";
import { temporaryFolder } from "../support/folder.ts";
import { PACKAGE } from "../support/package.ts";
import { killTree, startProgram } from "../support/process.ts";
import { ROOT } from "../support/root.ts";

const PAGE = readFileSync(join(ROOT, "docs/runners.md"), "utf8");
/** The folder of the recipes. */
const FOLDER = "/srv/feeds";
/** Rows of the page's pipeline: an event a second, for an hour. */
const ROWS = 3600;

/** Returns the code of an example in this language, without the line that names its file. */
function example(language: string): string {
  const found = new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(PAGE)?.[1];
  if (found === undefined) throw new Error(`the page has no example in ${language}`);
  return found;
}

/** A folder in which a user has installed `millrace` and `node@24`, with the page's pipeline. */
function feeds(): string {
  const folder = join(temporaryFolder(), "feeds");
  const bin = join(folder, "node_modules/.bin");
  mkdirSync(bin, { recursive: true });
  symlinkSync(PACKAGE, join(folder, "node_modules/millrace"));
  symlinkSync(process.execPath, join(bin, "node"));
  symlinkSync(join(PACKAGE, "bin/millrace.mjs"), join(bin, "millrace"));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  writeFileSync(join(folder, "orders.ts"), example("ts"));
  return folder;
}

/** Copies files as COPY of a Dockerfile does. */
function copy(value: string, source: string, image: string): void {
  for (const file of value.split(" ").slice(0, -1)) cpSync(join(source, file), join(image, file));
}

/** Runs a command of a Dockerfile. The packages are there already, and the test may not be root. */
function runInImage(value: string, image: string): void {
  const script = value.replace(/^npm ci$/, "true").replace("chown node", "test -d");
  expect(spawnSync("/bin/sh", ["-c", script], { cwd: image }).status, value).toBe(0);
}

/** Runs a line of a shell with nothing in its environment but what cron sets. */
async function shell(line: string, folder: string): Promise<string> {
  const env = { HOME: folder, PATH: "/usr/bin:/bin", SHELL: "/bin/sh" };
  return (await promisify(execFile)("/bin/sh", ["-c", line], { env, cwd: folder })).stdout;
}

async function countOf(folder: string): Promise<number> {
  const line = 'PATH="$PWD/node_modules/.bin:$PATH" millrace cat orders --json --limit 10000 | wc -l';
  return Number(await shell(line, folder));
}

describe("the recipes of docs/runners.md", () => {
  it("The unit of systemd is one that systemd accepts, and its command runs the pipeline until it is stopped", async () => {
    const folder = feeds();
    const unit = example("ini").replaceAll(FOLDER, folder);
    const file = join(folder, "millrace-orders.service");
    writeFileSync(file, unit.replace("User=millrace", "User=root"));
    const verify = spawnSync("systemd-analyze", ["verify", "--man=no", file], { encoding: "utf8" });
    // On a machine without systemd, the unit is only run.
    if (verify.error === undefined)
      expect(verify.stderr.split("\n").filter((line) => line.includes("millrace-orders"))).toEqual([]);

    const value = (name: string) => new RegExp(`^${name}=(.*)$`, "m").exec(unit)?.[1] ?? "";
    const [program = "", ...args] = value("ExecStart").split(" ");
    const running = startProgram(program, args, { PATH: value("Environment").replace("PATH=", "") }, folder);
    onTestFinished(() => killTree(running.process));
    for (let i = 0; i < 3000 && !running.stderr().includes("nothing new"); i++) await setTimeout(20);
    running.process.kill("SIGTERM");
    const { code, stderr } = await running.ended;
    expect(String(code), stderr).toBe(value("SuccessExitStatus"));
    expect(stderr).toMatch(/^\d{4}-\d\d-\d\d\n\d\d:\d\d:\d\d orders \(processingTime\) in /);
    expect(await countOf(folder)).toBe(ROWS);
  });

  it("The line of cron runs the pipeline in an empty environment, and says only what failed", async () => {
    const folder = feeds();
    const line = (/^\*\/5 \* \* \* \* (.*)$/m.exec(PAGE)?.[1] ?? "").replaceAll(FOLDER, folder);
    expect(line).not.toContain("%");
    expect(await shell(line, folder)).toBe("");
    expect(await countOf(folder)).toBe(ROWS);
    expect(readFileSync(join(folder, "orders.log"), "utf8")).toMatch(/batch 0 committed: /);

    writeFileSync(join(folder, "orders.ts"), "export default 1;");
    expect(await shell(line, folder)).toBe(`orders failed: see ${folder}/orders.log\n`);
  });

  it("The commands of the Dockerfile make a folder in which its command runs the pipeline", async () => {
    const source = feeds();
    const image = feeds();
    writeFileSync(join(source, "package-lock.json"), "{}");
    const steps = [
      ...example("dockerfile")
        .replaceAll(FOLDER, image)
        .matchAll(/^([A-Z]+) (.*)$/gm),
    ];
    for (const [, instruction, value = ""] of steps) {
      if (instruction === "COPY") copy(value, source, image);
      if (instruction === "RUN") runInImage(value, image);
    }
    const argumentOf = (name: string) => steps.find(([, instruction]) => instruction === name)?.[2] ?? "";
    const env = { PATH: argumentOf("ENV").replace("PATH=", "").replace("$PATH", "/usr/bin:/bin") };
    const command = JSON.parse(argumentOf("CMD")) as string[];
    const done = steps.map(([, instruction]) => instruction);
    expect(new Set(done)).toEqual(
      new Set(["FROM", "WORKDIR", "COPY", "RUN", "USER", "VOLUME", "ENV", "CMD"]),
    );
    const running = startProgram("/usr/bin/env", ["-S", ...command], env, image);
    onTestFinished(() => killTree(running.process));
    for (let i = 0; i < 3000 && !running.stderr().includes("nothing new"); i++) await setTimeout(20);
    running.process.kill("SIGTERM");
    expect((await running.ended).code).toBe(143);
    expect(await countOf(image)).toBe(ROWS);
  });

  it("The steps of the workflow run the pipeline, and keep its home under the key that they restore", async () => {
    const folder = feeds();
    const workflow = example("yaml");
    const commands = [...workflow.matchAll(/^ +- run: (.*)$/gm)].map(([, command = ""]) => command);
    expect(commands).toEqual(["npm ci", "npx millrace run orders.ts"]);
    const run = `PATH="$PWD/node_modules/.bin:$PATH" ${commands[1]?.replace("npx ", "")}`;
    await shell(run, folder);
    expect(await countOf(folder)).toBe(ROWS);
    const keys = [...workflow.matchAll(/^ +key: (.*)$/gm)].map(([, key = ""]) => key);
    expect(keys).toHaveLength(2);
    expect(new Set(keys).size).toBe(1);
    expect(keys[0]?.startsWith(/^ +restore-keys: (.*)$/m.exec(workflow)?.[1] ?? "?")).toBe(true);
    // YAML has no tabs, and each level of this file has two spaces.
    expect(workflow.split("\n").filter((line) => /\t|^(?: {2})* \S/.test(line))).toEqual([]);
  });

  it("The page lists the codes that end a run that stays", () => {
    const list = /These are the codes: ([\s\S]*?)\. If/.exec(PAGE)?.[1] ?? "";
    const codes = [...list.matchAll(/`([A-Z_]+)`/g)].map(([, code = ""]) => code);
    expect(codes).toEqual([...FINAL].sort());
    for (const code of codes) expect(endsRun(MillraceError.from({ code, message: "" }), false)).toBe(true);
  });
});
