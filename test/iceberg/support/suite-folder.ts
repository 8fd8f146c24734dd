import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";

/** Creates a folder that is removed when the tests of the current `describe` have ended. */
export function suiteFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "millrace-iceberg-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
