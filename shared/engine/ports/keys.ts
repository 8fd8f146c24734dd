import { MillraceError } from "../../contract/errors.ts";

/** `key`, where it is a plain relative path: no empty, `.` or `..` part. Error: `STORE_KEY_INVALID`. */
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
