import type { Runtime } from "../../../contract/context.ts";
import { MillraceError } from "../../../contract/errors.ts";
import { awsIdentity } from "../../kit/aws-credentials.ts";
import { isFromEnvironment, secretOf } from "../../kit/secrets.ts";
import type { OpenStore } from "../file-io.ts";
import { glueAsRest, s3TablesAsRest } from "./aws-presets.ts";
import type { IcebergCatalog } from "./catalog.ts";
import {
  DEFAULT_CATALOG,
  type ParsedCatalogOptions,
  type ParsedPostgres,
  type ParsedRest,
  type ParsedSqlite,
} from "./options.ts";
import { BearerToken, CONNECTOR, NO_AUTH, type RestAuth } from "./rest/auth.ts";
import { ClientCredentials } from "./rest/client-credentials.ts";
import { RestHttp } from "./rest/http.ts";
import { RestCatalog } from "./rest/rest-catalog.ts";
import { SigV4 } from "./rest/sigv4.ts";
import { PostgresDatabase } from "./sql/postgres.ts";
import { SqlCatalog } from "./sql/sql-catalog.ts";
import { SqliteDatabase } from "./sql/sqlite.ts";

export interface CatalogSurroundings {
  readonly runtime: Runtime;
  /** The folder of the home. Absent on AWS. */
  readonly home?: string | undefined;
  readonly openStore: OpenStore;
}

/**
 * Opens a catalog, or the default one if there are no options. Nothing is read or made before the
 * first call of one of its methods.
 */
export async function openCatalog(
  options: ParsedCatalogOptions = DEFAULT_CATALOG,
  surroundings: CatalogSurroundings,
): Promise<IcebergCatalog> {
  switch (options.type) {
    case "sqlite":
      return openSqlite(options, surroundings);
    case "postgres":
      return openPostgres(options, surroundings);
    case "rest":
      return openRest(options, surroundings.runtime);
    case "s3tables":
      return openRest(s3TablesAsRest(options), surroundings.runtime);
    case "glue": {
      const region = options.region ?? (await (await awsIdentity()).region());
      return openRest(glueAsRest(options, region), surroundings.runtime, options.warehouse);
    }
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

function openPostgres(
  { name, warehouse, ...server }: ParsedPostgres,
  { runtime, openStore }: CatalogSurroundings,
): IcebergCatalog {
  const database = new PostgresDatabase(server, runtime);
  return new SqlCatalog({ database, name, warehouse, runtime, openStore });
}

/** `folder` is where new tables are, if the catalog does not choose it. */
function openRest(options: ParsedRest, runtime: Runtime, folder?: string): IcebergCatalog {
  const { uri, warehouse, prefix, accessDelegation, timeoutSeconds, maxRetries } = options;
  const given = Object.entries(options.headers).map(([key, value]) => {
    const isSecret = isFromEnvironment(value);
    const text = isSecret ? secretOf(runtime.env, value, CONNECTOR) : value;
    return { key: key.toLowerCase(), text, isSecret };
  });
  const headers = Object.fromEntries(given.map(({ key, text }) => [key, text]));
  const secrets = given.filter(({ isSecret }) => isSecret).map(({ text }) => text);
  const asked = accessDelegation === "none" ? {} : { "x-iceberg-access-delegation": accessDelegation };
  const auth = authOf(options, runtime);
  return new RestCatalog({
    description: `REST catalog ${uri}${warehouse === undefined ? "" : `, warehouse ${warehouse}`}`,
    http: new RestHttp(uri, { ...asked, ...headers }, { auth, secrets, runtime, timeoutSeconds, maxRetries }),
    warehouse,
    prefix,
    ...(folder === undefined ? {} : { folder: folder.replace(/\/+$/, "") }),
  });
}

function authOf(options: ParsedRest, runtime: Runtime): RestAuth {
  const { token, oauth2, sigv4 } = options;
  if (token !== undefined) return new BearerToken(token, runtime.env);
  if (oauth2 !== undefined) return new ClientCredentials(oauth2, options, runtime);
  if (sigv4 !== undefined) return new SigV4(sigv4, runtime);
  return NO_AUTH;
}
