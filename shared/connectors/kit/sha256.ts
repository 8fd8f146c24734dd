import { hash } from "node:crypto";

/** The digest of a text's UTF-8. */
export function sha256(text: string): Buffer {
  return hash("sha256", text, "buffer");
}
