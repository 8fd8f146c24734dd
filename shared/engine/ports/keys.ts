import { MillraceError } from "../../contract/errors.ts";

/**
 * Returns `key` if it is a relative path without empty, `.` or `..` parts. Throws
 * `STORE_KEY_INVALID`.
 */
export function checkKey(key: string): string {
  if (
    key.split("/").every((part) => part !== "" && part !== "." && part !== "..") &&
    !key.includes("\\") &&
    !key.includes("\0")
  ) {
    return key;
  }
  throw new MillraceError(
    "STORE_KEY_INVALID",
    `"${key}" is not a key: it must be a relative path without empty, . or .. parts`,
  );
}
