import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Returns the digest of the bundle at this URL: of Millrace and the pipeline together. */
export function digestOfBundle(url: string): string {
  return createHash("sha256")
    .update(readFileSync(fileURLToPath(url)))
    .digest("hex");
}
