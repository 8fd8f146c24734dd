import type { Runtime } from "../../../contract/context.ts";
import { MillraceError } from "../../../contract/errors.ts";
import { isFromEnvironment, secretOf } from "../../kit/secrets.ts";
import type { OpenStore } from "../file-io.ts";
import type { IcebergCatalog } from "./catalog.ts";
import type { ParsedCatalogOptions, ParsedRest, ParsedSqlite } from "./options.ts";
import { BearerToken, CONNECTOR, NO_AUTH, type RestAuth } from "./rest/auth.ts";
import { RestHttp } from "./rest/http.ts";
import { RestCatalog } from "./rest/rest-catalog.ts";
import { SqlCatalog } from "./sql/sql-catalog.ts";
import { SqliteDatabase } from "./sql/sqlite.ts";

export interface CatalogSurroundings {
  readonly runtime: Runtime;
  /** The folder of the home. Absent on AWS. */
  readonly home?: string | undefined;
  readonly openStore: OpenStore;
}

/** Opens a catalog. Nothing is read or made before the first call of one of its methods. */
export async function openCatalog(
  options: ParsedCatalogOptions,
  surroundings: CatalogSurroundings,
): Promise<IcebergCatalog> {
  switch (options.type) {
    case "sqlite":
      return openSqlite(options, surroundings);
    case "rest":
      return openRest(options, surroundings);
    default:
      throw new TypeError(`not yet: ${options.type}`);
  }
}

const CATALOG_FILE = /\.(?:db|sqlite3?)$/;

/** Error: `CATALOG_MISSING`. */
function openSqlite(
  { path, name, warehouse }: ParsedSqlite,
  { runtime, home, openStore }: CatalogSurroundings,
): IcebergCatalog {
  const given = path ?? (home === undefined ? undefined : `${home}/warehouse`);
  if (given === undefined)
    throw new MillraceError("CATALOG_MISSING", "there is no home here that could have the catalog", {
      hint: 'Set the option catalog, such as { type: "s3tables", tableBucketArn: "…" } or { type: "glue" }.',
    });
  // The store knows the absolute path of a relative one.
  const { location } = openStore(given);
  const file = CATALOG_FILE.test(given) ? location : `${location}/catalog.db`;
  return new SqlCatalog({
    database: new SqliteDatabase(file, runtime),
    name,
    warehouse: warehouse ?? file.slice(0, file.lastIndexOf("/")),
    runtime,
    openStore,
  });
}

function openRest(options: ParsedRest, { runtime }: CatalogSurroundings): IcebergCatalog {
  const { uri, warehouse, prefix, accessDelegation, timeoutSeconds, maxRetries } = options;
  const auth = authOf(options, runtime);
  const headers = Object.fromEntries(
    Object.entries(options.headers).map(([key, value]) => [
      key.toLowerCase(),
      isFromEnvironment(value) ? secretOf(runtime.env, value, CONNECTOR) : value,
    ]),
  );
  const asked = accessDelegation === "none" ? {} : { "x-iceberg-access-delegation": accessDelegation };
  return new RestCatalog({
    description: `REST catalog ${uri}${warehouse === undefined ? "" : `, warehouse ${warehouse}`}`,
    http: new RestHttp(uri, { ...asked, ...headers }, { auth, runtime, timeoutSeconds, maxRetries }),
    warehouse,
    prefix,
  });
}

function authOf({ token }: ParsedRest, { env }: Runtime): RestAuth {
  return token === undefined ? NO_AUTH : new BearerToken(token, env);
}
