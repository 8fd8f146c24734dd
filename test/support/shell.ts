import { execFile } from "node:child_process";
import { chmodSync, globSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { PYTHON } from "../../scripts/setup-python.ts";
import { PACKAGE } from "./package.ts";
import { ROOT } from "./root.ts";

/** The packages that examples import besides millrace. */
const PACKAGES = ["apache-arrow", "zod", "parquet-wasm", "pg"];
const EXTENSIONS = join(dirname(PYTHON), "../lib/*/site-packages/duckdb_extension_*/extensions/*/*");

/**
 * A user's folder, in which the commands of the documentation run as they are shown: `npx millrace`
 * is the built command, `python3` and `duckdb` are those of the tests' environment, with DuckDB's
 * extensions installed. `npm` and `pip` do nothing, because all packages are there.
 */
export class UserFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
    for (const name of ["millrace", ...PACKAGES]) {
      mkdirSync(dirname(join(path, "node_modules", name)), { recursive: true });
      const target = name === "millrace" ? PACKAGE : join(ROOT, "node_modules", name);
      symlinkSync(target, join(path, "node_modules", name));
    }
    writeFileSync(join(path, "package.json"), JSON.stringify({ type: "module" }));
    this.#command("npm", "");
    this.#command("npx", `shift; exec '${process.execPath}' '${PACKAGE}/bin/millrace.mjs' "$@"`);
    this.#command("python3", `[ "$2" = pip ] || exec '${PYTHON}' "$@"`);
    this.#command("duckdb", `exec '${join(dirname(PYTHON), "duckdb")}' "$@"`);
    for (const file of globSync(EXTENSIONS)) {
      const [version = "", name = ""] = file.split("/").slice(-2);
      const installed = join(path, "home/.duckdb/extensions", version, "linux_amd64");
      mkdirSync(installed, { recursive: true });
      symlinkSync(file, join(installed, name));
    }
  }

  #command(name: string, script: string): void {
    const file = join(this.path, "bin", name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `#!/bin/sh\n${script}\n`);
    chmodSync(file, 0o755);
  }

  /** Runs a script. Returns what it prints, in order, and rejects if a command of it fails. */
  async run(script: string): Promise<string> {
    const { stdout } = await promisify(execFile)("sh", ["-e", "-c", `exec 2>&1\n${script}`], {
      cwd: this.path,
      env: {
        ...process.env,
        PATH: `${join(this.path, "bin")}:${process.env["PATH"]}`,
        HOME: join(this.path, "home"),
        NO_COLOR: "1",
      },
    });
    return stdout;
  }
}
