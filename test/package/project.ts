import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { cpSync, globSync, lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect } from "vitest";
import { PACKAGE } from "../support/package.ts";
import { ROOT } from "../support/root.ts";
import { variablesOf } from "../support/settings.ts";

/**
 * A project in an empty folder in which the packed package is installed, without development
 * packages.
 */
export class Project {
  readonly folder: string;
  /** The files of the packed package. */
  readonly packed: readonly string[];
  /** The output of npm while it installed the package. */
  readonly told: string;
  /** The names of the installed packages. A package that is installed twice is named twice. */
  readonly packages: readonly string[];
  /** The size of the installed packages on disk, counted like `du -m`. */
  readonly megabytes: number;

  constructor(folder: string) {
    this.folder = folder;
    const staged = join(this.folder, "staged");
    for (const name of [".npmrc", "README.md", "LICENSE", "docs"])
      cpSync(join(ROOT, name), join(staged, name), { recursive: true });
    for (const name of ["package.json", "bin", "dist"])
      cpSync(join(PACKAGE, name), join(staged, name), { recursive: true });
    const pack = this.#npm(["pack", "--ignore-scripts", "--json", "--pack-destination", this.folder], staged);
    const [{ filename, files }] = JSON.parse(pack.stdout) as [
      { readonly filename: string; readonly files: readonly { readonly path: string }[] },
    ];
    this.packed = files.map(({ path }) => path);
    this.write("package.json", '{ "type": "module" }');
    const { stderr } = this.#npm(["install", "--omit=dev", "--no-audit", "--no-fund", `./${filename}`]);
    this.told = stderr;
    this.packages = this.#packages();
    this.megabytes = this.#megabytes();
  }

  #npm(args: readonly string[], cwd: string = this.folder): SpawnSyncReturns<string> {
    const done = spawnSync("npm", args, { cwd, encoding: "utf8", env: withoutNpm() });
    expect(done.status, done.stderr).toBe(0);
    return done;
  }

  #packages(): readonly string[] {
    const lock = readFileSync(join(this.folder, "node_modules/.package-lock.json"), "utf8");
    const { packages } = JSON.parse(lock) as { packages: Readonly<Record<string, object>> };
    return Object.keys(packages).map((path) => path.replace(/^.*node_modules\//, ""));
  }

  #megabytes(): number {
    const paths = globSync("node_modules/**", { cwd: this.folder });
    const blocks = paths.reduce((sum, path) => sum + lstatSync(join(this.folder, path)).blocks, 0);
    return (blocks * 512) / 1024 ** 2;
  }

  /** Links packages of the repository into the project. */
  link(...names: readonly string[]): void {
    for (const name of names) {
      const place = join(this.folder, "node_modules", name);
      mkdirSync(dirname(place), { recursive: true });
      symlinkSync(join(ROOT, "node_modules", name), place);
    }
  }

  write(file: string, text: string): void {
    writeFileSync(join(this.folder, file), text);
  }

  /** Runs this test's version of Node with the environment variables of a pipeline's function. */
  node(...args: readonly string[]): SpawnSyncReturns<string> {
    const env = { ...process.env, ...variablesOf("orders"), NO_COLOR: "1", AWS_REGION: "eu-central-1" };
    return spawnSync(process.execPath, args, { cwd: this.folder, encoding: "utf8", env });
  }

  millrace(...args: readonly string[]): SpawnSyncReturns<string> {
    return this.node("node_modules/millrace/bin/millrace.mjs", ...args);
  }
}

/** Returns the environment without the variables of the npm that may have started this test. */
function withoutNpm(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("npm_")));
}
