import { hash } from "node:crypto";

/** The digest of a text's UTF-8. Not that of Web Crypto, which waits a turn for each name of a listing. */
export function sha256(text: string): Buffer {
  return hash("sha256", text, "buffer");
}
