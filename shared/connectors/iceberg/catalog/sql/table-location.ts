import { MillraceError } from "../../../../contract/errors.ts";
import type { OpenStore } from "../../file-io.ts";
import { storeLocation } from "../../file-io.ts";
import type { TableIdentifier } from "../catalog.ts";
import { nameInvalid, tableNameOf } from "../identifier.ts";
import { LONGEST_NAME, type TableKey } from "./statements.ts";

/**
 * Locations are not percent-encoded. Some readers decode them nevertheless, and so find no file.
 */
const NOT_IN_LOCATIONS = /[%#?\\]/;

/** Returns the key of a table in a SQL catalog. Error: `TABLE_NAME_INVALID`. */
export function keyOf(catalog: string, table: TableIdentifier): TableKey {
  const parts = [...table.namespace, table.name];
  const wrong = parts.find((part) => /[%#?\\/.]/.test(part));
  if (wrong !== undefined)
    throw nameInvalid(
      tableNameOf(table),
      `${JSON.stringify(wrong)} contains one of . / \\ % # ?, which a SQL catalog cannot have in a name`,
    );
  const namespace = table.namespace.join(".");
  if ([namespace, table.name].some((part) => part.length > LONGEST_NAME))
    throw nameInvalid(tableNameOf(table), `it is longer than ${LONGEST_NAME} characters`);
  return { catalog, namespace, name: table.name };
}

/**
 * Returns the location of a folder or a URL as in metadata: `file:///folder` or
 * `s3://bucket/prefix`, without a slash at its end. `what` names the option that set it. Error:
 * `LOCATION_NOT_SUPPORTED`.
 */
export function locationOf(openStore: OpenStore, given: string, what: string): string {
  // The store knows the absolute path of a relative one.
  const { location } = openStore(storeLocation(given));
  if (NOT_IN_LOCATIONS.test(location))
    throw new MillraceError(
      "LOCATION_NOT_SUPPORTED",
      `${what} is ${location}, and some readers of Iceberg find no file whose path contains % # ? or \\`,
      {
        where: { path: location },
        hint: "Choose a folder whose path has none of these characters, and `millrace run` again.",
      },
    );
  const trimmed = location.replace(/\/+$/, "");
  return trimmed.startsWith("/") ? `file://${trimmed}` : trimmed;
}

/**
 * Returns the folder of a new table in its namespace. If the folder has files, for example those of
 * a table that was dropped and kept, it returns another one: tables that share a folder would lose
 * files to each other's clean-up. `id` is unique.
 */
export async function freeFolder(openStore: OpenStore, folder: string, id: string): Promise<string> {
  for await (const _ of openStore(storeLocation(folder)).list("")) return `${folder}-${id}`;
  return folder;
}
