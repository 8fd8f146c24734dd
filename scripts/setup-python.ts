import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * `node scripts/setup-python.ts`: creates the Python environment of the tests in .cache/python. It
 * contains the readers that are independent of Millrace: pyarrow, pandas, Polars, pyiceberg and
 * DuckDB with its extensions. It also contains MiniStack, a small S3 with S3 Tables.
 */

/** A folder with a Python of its own, and its packages in pinned versions. */
export interface Environment {
  readonly folder: string;
  readonly packages: readonly string[];
}

const TESTS: Environment = {
  folder: fileURLToPath(new URL("../.cache/python", import.meta.url)),
  packages: [
    "pyarrow==26.0.1",
    "pyiceberg[pyarrow,sql-sqlite,sql-postgres,pyiceberg-core]==0.12.0",
    "duckdb==1.5.5",
    "duckdb-cli==1.5.5",
    // The extensions are packages too, because DuckDB must not download any when it runs.
    "duckdb-extensions==1.5.5",
    "duckdb-extension-avro==1.5.5",
    "duckdb-extension-httpfs==1.5.5",
    "duckdb-extension-iceberg==1.5.5",
    "pandas==2.3.3",
    "polars==2.1.0",
    // DuckDB needs it for timestamps with a time zone.
    "pytz==2026.6",
    "ministack==1.5.33",
  ],
};

/** The Python of the tests, which exists after `setUpPython` returned `true`. */
export const PYTHON: string = pythonOf(TESTS);

/** Returns the path of the environment's Python. */
export function pythonOf({ folder }: Environment): string {
  return `${folder}/bin/python`;
}

/**
 * Creates the environment if it is missing. If that fails, prints why and returns `false`. The
 * tests that need it are then skipped, and CI counts that as a failure.
 */
export function setUpPython(): boolean {
  if (setUpEnvironment(TESTS)) return true;
  console.error(
    "SKIPPED: the tests that read tables with pyarrow, pandas, Polars, pyiceberg and DuckDB need Python 3.10 or newer with venv and pip; it could not be set up here",
  );
  return false;
}

/** Creates an environment, unless one with the same packages is there. */
export function setUpEnvironment(environment: Environment): boolean {
  if (isReady(environment)) return true;
  const python = pythonOf(environment);
  // Without the list, an installation that is stopped in between is not taken for a complete one.
  rmSync(listOf(environment), { force: true });
  const pip = ["-m", "pip", "install", "-q", "--disable-pip-version-check", ...environment.packages];
  if (!makeEnvironment(environment) || !run(python, pip)) return false;
  writeFileSync(listOf(environment), textOf(environment));
  return isReady(environment);
}

/** Returns the path of the file that lists the packages of a complete environment. */
function listOf({ folder }: Environment): string {
  return `${folder}/installed.txt`;
}

function textOf({ packages }: Environment): string {
  return `${packages.join("\n")}\n`;
}

function isReady(environment: Environment): boolean {
  const list = listOf(environment);
  return (
    existsSync(list) &&
    readFileSync(list, "utf8") === textOf(environment) &&
    run(pythonOf(environment), ["-c", ""]) // The machine's Python may have changed since.
  );
}

/** Creates the environment. Debian's Python has no venv, so as root the function installs it. */
function makeEnvironment({ folder }: Environment): boolean {
  const make = () => run("python3", ["-m", "venv", "--clear", folder]);
  return make() || (installDebian("python3-venv") && make());
}

/** Installs packages of Debian. Returns `false` if that fails, or without root. */
export function installDebian(...packages: readonly string[]): boolean {
  const flags = ["install", "-y", "-qq", "--no-install-recommends"];
  return (
    process.getuid?.() === 0 && run("apt-get", ["update", "-qq"]) && run("apt-get", [...flags, ...packages])
  );
}

/** Runs a command without its output. Returns `true` if it ended well. */
export function run(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: ["ignore", "ignore", "inherit"] }).status === 0;
}

if (import.meta.main && !setUpPython() && process.env["CI"]) process.exitCode = 1;
