import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** Creates a folder that is removed when the test ends. */
export function temporaryFolder(): string {
  return folderIn(tmpdir());
}

/**
 * Creates a folder whose files are in memory if the system has such a place. It is for a test that
 * makes thousands of durable writes.
 */
export function folderInMemory(): string {
  return folderIn(existsSync("/dev/shm") ? "/dev/shm" : tmpdir());
}

function folderIn(parent: string): string {
  const folder = mkdtempSync(join(parent, "millrace-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
