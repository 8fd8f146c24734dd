// biome-ignore lint/style/noRestrictedImports: the one of the platform would have to be waited for, for each file of a listing.
import { hash } from "node:crypto";

/** The digest of a text's UTF-8. */
export function sha256(text: string): Buffer {
  return hash("sha256", text, "buffer");
}
