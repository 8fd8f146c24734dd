import { setUpIceberg } from "../../scripts/setup-iceberg.ts";
import { setUpPython } from "../../scripts/setup-python.ts";
import { offerPostgres } from "../postgres/shared.ts";
// Compiles the package before the first test file needs it.
import "./package.ts";

/**
 * Sets up what the test files of the lane share: a build, Python environments, the Java side of the
 * tests of Iceberg, and a PostgreSQL server.
 */
export async function setup(): Promise<() => Promise<void>> {
  setUpPython();
  setUpIceberg();
  return await offerPostgres();
}
