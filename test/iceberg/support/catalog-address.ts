import type { CatalogOptions } from "../../../shared/connectors/iceberg/catalog/options.ts";
import type { Database } from "../../postgres/databases.ts";
import { PASSWORD } from "../../postgres/databases.ts";

/** How Millrace, pyiceberg and Spark open a catalog. */
export interface CatalogAddress {
  /** In a SQL catalog, the name is part of each table's key, so all programs must use the same. */
  readonly name: string;
  readonly millrace: CatalogOptions;
  readonly pyiceberg: Readonly<Record<string, string>>;
  readonly spark: Readonly<Record<string, string>>;
}

/** The SQL catalog `catalog.db` in a folder, which is also the warehouse. */
export function sqliteCatalog(warehouse: string, name = "millrace"): CatalogAddress {
  return {
    name,
    millrace: { type: "sqlite", path: warehouse, name },
    pyiceberg: {
      type: "sql",
      uri: `sqlite:///${warehouse}/catalog.db`,
      warehouse: `file://${warehouse}`,
    },
    spark: jdbc(`jdbc:sqlite:file:${warehouse}/catalog.db`, warehouse),
  };
}

/**
 * The SQL catalog in a database of PostgreSQL. Millrace finds the password in the variable
 * PGPASSWORD of its runtime.
 */
export function postgresCatalog(
  { connection: { host, port, user, database } }: Pick<Database, "connection">,
  warehouse: string,
  name = "millrace",
): CatalogAddress {
  const place = `${host}:${port}/${database}`;
  return {
    name,
    millrace: { type: "postgres", connection: { host, port, user, database }, warehouse, name },
    pyiceberg: {
      type: "sql",
      uri: `postgresql+psycopg2://${user}:${encodeURIComponent(PASSWORD)}@${place}`,
      warehouse: `file://${warehouse}`,
    },
    spark: {
      ...jdbc(`jdbc:postgresql://${place}`, warehouse),
      "jdbc.user": user,
      "jdbc.password": PASSWORD,
    },
  };
}

/** A REST catalog without credentials. */
export function restCatalog(port: number, name = "millrace"): CatalogAddress {
  const uri = `http://127.0.0.1:${port}`;
  const properties = { type: "rest", uri };
  return { name, millrace: { type: "rest", uri }, pyiceberg: properties, spark: properties };
}

/** The properties with which Java opens a SQL catalog. */
function jdbc(uri: string, warehouse: string): Record<string, string> {
  return {
    "catalog-impl": "org.apache.iceberg.jdbc.JdbcCatalog",
    uri,
    warehouse: `file://${warehouse}`,
    "jdbc.schema-version": "V1",
  };
}
