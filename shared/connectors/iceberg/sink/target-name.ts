import type { JsonValue } from "../../../contract/json.ts";
import type { ParsedCatalogOptions, ParsedPostgres } from "../catalog/options.ts";
import type { ParsedOptions } from "../options.ts";

/**
 * Names the table and its catalog for the ledger, which refuses another target under the name of
 * the pipeline. Timeouts, headers and credentials may change, and are not in the name. Neither is
 * the place of the default catalog, which moves with the home.
 */
export function targetNameOf({ table, catalog }: ParsedOptions): string {
  const place = catalog === undefined ? undefined : placeOf(catalog);
  return place === undefined ? table : `${table} in ${JSON.stringify(place)}`;
}

function placeOf(catalog: ParsedCatalogOptions): JsonValue | undefined {
  const { type } = catalog;
  switch (catalog.type) {
    case "sqlite": {
      const isDefault = catalog.path === undefined && catalog.name === "millrace";
      return isDefault ? undefined : present({ type, path: catalog.path, name: catalog.name });
    }
    case "postgres": {
      return present({ type, ...serverOf(catalog), name: catalog.name });
    }
    case "rest":
      return present({ type, uri: catalog.uri, warehouse: catalog.warehouse, prefix: catalog.prefix });
    case "s3tables":
      return present({ type, tableBucketArn: catalog.tableBucketArn });
    case "glue":
      return present({ type, catalogId: catalog.catalogId, region: catalog.region });
  }
}

type Present = Readonly<Record<string, string | number | undefined>>;

/** The server, without user, password and settings of the connection. */
function serverOf({ url, connection: { host, port, database } = {} }: ParsedPostgres): Present {
  if (url === undefined) return { host, port, database };
  if (typeof url !== "string") return { url: `$${url.env}` };
  const { hostname, port: own, pathname } = new URL(url);
  return { host: hostname, port: own, database: pathname.slice(1) };
}

function present(fields: Present): JsonValue {
  return Object.fromEntries(
    Object.entries(fields).flatMap(([key, value]) =>
      value === undefined || value === "" ? [] : [[key, value]],
    ),
  );
}
