import { builtPackage } from "../../scripts/built-package.ts";

/**
 * Environment variable with the folder of the build, so that all processes of a test run use the
 * same build.
 */
const VARIABLE = "MILLRACE_TEST_PACKAGE";

/**
 * The folder of the compiled package. It contains `bin`, `dist`, `examples`, and the pipelines of
 * the tests.
 */
export const PACKAGE: string = process.env[VARIABLE] ?? compile();
process.env[VARIABLE] = PACKAGE;

function compile(): string {
  const folder = builtPackage();
  if (folder === undefined) throw new Error("the sources do not compile: see the messages above");
  return folder;
}

/**
 * Does nothing. vitest imports this module as a global setup, so that the package is compiled
 * before the first test file.
 */
export function setup(): void {}
