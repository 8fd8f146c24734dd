import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../support/folder.ts";
import { ROOT } from "../support/root.ts";

/**
 * Creates a project with these files and a changed copy of the launchers, which treats the running
 * Node as Node 20.
 */
function projectOn20(files: Readonly<Record<string, string>>): string {
  const folder = temporaryFolder();
  for (const name of ["bin", "scripts/require-node-24.mjs"])
    cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  const module = join(folder, "bin/node-version.mjs");
  writeFileSync(module, readFileSync(module, "utf8").replace("process.versions.node", '"20.20.2"'));
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
  return folder;
}

function start(folder: string, ...args: readonly string[]) {
  const env = { ...process.env, npm_config_user_agent: "" };
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: folder,
    encoding: "utf8",
    env,
  });
  return { status, stdout, lines: stderr.split("\n") };
}

const nodePackage = (version: string) => ({
  "node_modules/node/package.json": JSON.stringify({ version }),
});

describe("a Node that is too old", () => {
  it.each([
    {
      project: "that has no Node of its own",
      files: {},
      why: "no Node of its own is installed in this project",
      todo: "npm install --save-dev node@24, or install Node 24; then npx millrace",
    },
    {
      project: "whose own Node is too old as well",
      files: nodePackage("22.1.0"),
      why: "the package node of this project is version 22.1.0",
      todo: "npm install --save-dev node@24, or install Node 24; then npx millrace",
    },
    {
      project: "whose install scripts npm blocked",
      files: nodePackage("24.21.0"),
      why: "the package node is installed, but its install script was blocked, so that it brought no Node",
      todo: "npm rebuild node --ignore-scripts=false, or install Node 24; then npx millrace",
    },
    {
      project: "whose install scripts pnpm blocked",
      files: { ...nodePackage("24.21.0"), "pnpm-lock.yaml": "" },
      why: "the package node is installed, but its install script was blocked, so that it brought no Node",
      todo: "pnpm approve-builds (choose node), or install Node 24; then npx millrace",
    },
    {
      project: "whose own Node was not used",
      files: { ...nodePackage("24.21.0"), "node_modules/node/bin/node": "" },
      why: "this project has a Node of its own, but it was not used",
      todo: "npx millrace",
    },
  ])("The command refuses a Node that is too old in a project $project", ({ files, why, todo }) => {
    const { status, stdout, lines } = start(projectOn20(files), "bin/millrace.mjs", "run", "x.ts");
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(lines).toEqual([
      `error NODE_TOO_OLD: Millrace needs Node 24 or newer, this is ${process.version}`,
      `  where: ${process.execPath}`,
      `  why:   ${why}`,
      `  do:    ${todo}`,
      "",
    ]);
  });

  it("The scripts of the repository refuse a Node that is too old before one of them is loaded", () => {
    const folder = projectOn20(nodePackage("24.21.0"));
    const { status, lines } = start(folder, "scripts/require-node-24.mjs");
    expect(status).toBe(2);
    expect(lines[3]).toBe(
      "  do:    npm rebuild node --ignore-scripts=false, or install Node 24; then start it with npm",
    );
  });
});

it("Every npm script that runs TypeScript first requires Node 24", () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
    readonly scripts: Readonly<Record<string, string>>;
  };
  const needing = Object.values(scripts).filter((command) => /\.ts\b|vitest|cdk/.test(command));
  expect(needing.length).toBeGreaterThan(10);
  expect(needing.filter((command) => !command.startsWith("node scripts/require-node-24.mjs && "))).toEqual(
    [],
  );
});

describe("the command in a repository that is not built", () => {
  it("The command in a repository that is not built says how to build it", () => {
    const folder = temporaryFolder();
    cpSync(join(ROOT, "bin"), join(folder, "bin"), { recursive: true });
    const { status, lines } = start(folder, "bin/millrace.mjs", "--version");
    expect(status).toBe(2);
    expect(lines).toEqual([
      "error NOT_BUILT: the millrace command is not built",
      "  do:    npm run build",
      "",
    ]);
  });
});
