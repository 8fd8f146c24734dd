/** The first digits of the UUIDs in names of files that Millrace writes: "mill" in ASCII. */
const START = "6d696c6c";

const OWN = new RegExp(`(?:^|[^0-9a-f])${START}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`);

/**
 * Returns a UUID of version 8 that says that Millrace made it, with the other random digits of
 * `id`. Vacuum knows the files of Millrace by it.
 */
export function ownUuid(id: string): string {
  return `${START}${id.slice(8, 14)}8${id.slice(15)}`;
}

/** True if a file's name contains a UUID that `ownUuid` made. */
export function hasOwnUuid(name: string): boolean {
  return OWN.test(name);
}
