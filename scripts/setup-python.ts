import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * `node scripts/setup-python.ts`: creates the Python environment of the tests in .cache/python. It
 * contains pyarrow, an Arrow reader that is independent of Millrace.
 */

const FOLDER = fileURLToPath(new URL("../.cache/python", import.meta.url));
/** The Python of this environment, which exists after `setUpPython` returned `true`. */
export const PYTHON: string = `${FOLDER}/bin/python`;
const PACKAGES = ["pyarrow==26.0.1"];

/**
 * Creates the environment if it is missing. If that fails, prints why and returns `false`. The
 * tests that need it are then skipped, and CI counts that as a failure.
 */
export function setUpPython(): boolean {
  if (isReady()) return true;
  const pip = ["-m", "pip", "install", "-q", "--disable-pip-version-check", ...PACKAGES];
  if (makeEnvironment() && run(PYTHON, pip) && isReady()) return true;
  console.error(
    "SKIPPED: the tests that read tables with pyarrow need Python 3.10 or newer with venv and pip; it could not be set up here",
  );
  return false;
}

function isReady(): boolean {
  const check = "import pyarrow; assert pyarrow.__version__ == '26.0.1'";
  return existsSync(PYTHON) && run(PYTHON, ["-c", check]);
}

/** Creates the environment. Debian's Python has no venv, so as root the function installs it. */
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

function run(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: ["ignore", "ignore", "inherit"] }).status === 0;
}

if (import.meta.main && !setUpPython() && process.env["CI"]) process.exitCode = 1;
