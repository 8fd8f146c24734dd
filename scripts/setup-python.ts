import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

/**
 * Creates the Python environment of the tests in .cache/python. Its pyarrow is an Arrow reader that
 * is independent of Millrace.
 */

const FOLDER = ".cache/python";
const PACKAGES = ["pyarrow==26.0.1"];
const run = (command: string, args: readonly string[]): boolean =>
  spawnSync(command, args, { stdio: ["ignore", "ignore", "inherit"] }).status === 0;
const isReady = () =>
  existsSync(`${FOLDER}/bin/python`) &&
  run(`${FOLDER}/bin/python`, ["-c", "import pyarrow; assert pyarrow.__version__ == '26.0.1'"]);

/** Debian ships Python without venv; root can install it. */
function makeEnvironment(): boolean {
  const make = () => run("python3", ["-m", "venv", "--clear", FOLDER]);
  if (make()) return true;
  const isRoot = process.getuid?.() === 0;
  return (
    isRoot &&
    run("apt-get", ["update", "-qq"]) &&
    run("apt-get", ["install", "-y", "-qq", "python3-venv"]) &&
    make()
  );
}

if (!isReady()) {
  const ok =
    makeEnvironment() &&
    run(`${FOLDER}/bin/python`, ["-m", "pip", "install", "-q", "--disable-pip-version-check", ...PACKAGES]);
  if (!ok || !isReady()) {
    console.error(
      "SKIPPED: the tests that read tables with pyarrow need Python 3.10 or newer with venv and pip; it could not be set up here",
    );
    // In CI a missing Python is a failure and never skips the tests.
    process.exitCode = process.env["CI"] ? 1 : 0;
  }
}
