import { hash } from "node:crypto";

/**
 * Returns the SHA-256 digest of bytes, or of a text in UTF-8. Uses Node's synchronous function
 * because Web Crypto's is asynchronous, which is slow for the many names of a listing.
 */
export function sha256(text: string | Uint8Array): Buffer {
  return hash("sha256", text, "buffer");
}
