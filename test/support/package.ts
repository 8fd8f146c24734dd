import { builtPackage } from "../../scripts/built-package.ts";

/** All processes of a test run use the same build. */
const VARIABLE = "MILLRACE_TEST_PACKAGE";

/**
 * The folder of the compiled package: `bin`, `dist`, `examples`, and the pipelines of the tests.
 */
export const PACKAGE: string = process.env[VARIABLE] ?? compile();
process.env[VARIABLE] = PACKAGE;

function compile(): string {
  const folder = builtPackage();
  if (folder === undefined) throw new Error("the sources do not compile: see the messages above");
  return folder;
}

/** As a global setup of vitest, this module compiles the package before the first test file. */
export function setup(): void {}
