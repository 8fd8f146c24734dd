import type { SqlRow, SqlSession } from "./database.ts";

/**
 * The tables of Iceberg's SQL catalog, schema version V1, as Java and pyiceberg create them. A
 * catalog of version V0 has no column `iceberg_type`, because it has no views.
 */
const DDL = [
  `CREATE TABLE IF NOT EXISTS iceberg_tables (catalog_name VARCHAR(255) NOT NULL,
    table_namespace VARCHAR(255) NOT NULL, table_name VARCHAR(255) NOT NULL,
    metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000),
    iceberg_type VARCHAR(5), PRIMARY KEY (catalog_name, table_namespace, table_name))`,
  `CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (catalog_name VARCHAR(255) NOT NULL,
    namespace VARCHAR(255) NOT NULL, property_key VARCHAR(255) NOT NULL,
    property_value VARCHAR(1000), PRIMARY KEY (catalog_name, namespace, property_key))`,
];

/** Longest text of a column of names, and of one of locations. */
export const LONGEST_NAME = 255;
export const LONGEST_LOCATION = 1000;

/** The key of a row. */
export interface TableKey {
  readonly catalog: string;
  /** The levels of the namespace, joined with dots. */
  readonly namespace: string;
  readonly name: string;
}

/** Whether a catalog tells tables from views. */
export type CatalogVersion = "untyped" | "typed";

/** Returns `undefined` if the database has no catalog yet. */
export async function versionOf(session: SqlSession): Promise<CatalogVersion | undefined> {
  const columns = await session.columnsOf("iceberg_tables");
  if (columns.length === 0) return undefined;
  return columns.includes("iceberg_type") ? "typed" : "untyped";
}

/** Creates the tables of the catalog if they do not exist, and returns its version. */
export async function prepare(session: SqlSession): Promise<CatalogVersion> {
  const version = await versionOf(session);
  if (version !== undefined) return version;
  for (const statement of DDL) await session.query(statement, []);
  return "typed";
}

const KEY = "catalog_name = $1 AND table_namespace = $2 AND table_name = $3";

function valuesOf({ catalog, namespace, name }: TableKey): string[] {
  return [catalog, namespace, name];
}

/** Returns the row of a table or view, if there is one. */
export async function selectRow(
  session: SqlSession,
  version: CatalogVersion,
  key: TableKey,
): Promise<SqlRow | undefined> {
  const type = version === "typed" ? "iceberg_type" : "NULL AS iceberg_type";
  const [row] = await session.query(
    `SELECT metadata_location, ${type} FROM iceberg_tables WHERE ${KEY}`,
    valuesOf(key),
  );
  return row;
}

/** Returns false if there is a table or view of this name. */
export async function insertRow(
  session: SqlSession,
  version: CatalogVersion,
  key: TableKey,
  location: string,
): Promise<boolean> {
  const [column, value] = version === "typed" ? [", iceberg_type", ", 'TABLE'"] : ["", ""];
  const rows = await session.query(
    `INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, metadata_location${column})
      VALUES ($1, $2, $3, $4${value}) ON CONFLICT DO NOTHING RETURNING 1 AS done`,
    [...valuesOf(key), location],
  );
  return rows.length === 1;
}

/** Replaces the location of a table's metadata. Returns false if it is not `from` any more. */
export async function moveRow(
  session: SqlSession,
  version: CatalogVersion,
  key: TableKey,
  from: string,
  to: string,
): Promise<boolean> {
  const isTable = version === "typed" ? "AND (iceberg_type = 'TABLE' OR iceberg_type IS NULL)" : "";
  const rows = await session.query(
    `UPDATE iceberg_tables SET metadata_location = $5, previous_metadata_location = $4
      WHERE ${KEY} AND metadata_location = $4 ${isTable} RETURNING 1 AS done`,
    [...valuesOf(key), from, to],
  );
  return rows.length === 1;
}

/** Creates a namespace if it has no row yet. */
export async function insertNamespace(session: SqlSession, { catalog, namespace }: TableKey): Promise<void> {
  await session.query(
    `INSERT INTO iceberg_namespace_properties (catalog_name, namespace, property_key, property_value)
      SELECT CAST($1 AS VARCHAR(255)), CAST($2 AS VARCHAR(255)), 'exists', 'true' WHERE NOT EXISTS (SELECT 1 FROM iceberg_namespace_properties
      WHERE catalog_name = $1 AND namespace = $2) ON CONFLICT DO NOTHING`,
    [catalog, namespace],
  );
}

/** Returns the location that a namespace sets for its tables, if it sets one. */
export async function namespaceLocation(
  session: SqlSession,
  { catalog, namespace }: TableKey,
): Promise<string | undefined> {
  const [row] = await session.query(
    `SELECT property_value FROM iceberg_namespace_properties
      WHERE catalog_name = $1 AND namespace = $2 AND property_key = 'location'`,
    [catalog, namespace],
  );
  return row?.["property_value"] ?? undefined;
}
