import type { MillraceError } from "../../../contract/errors.ts";
import type { StoreAccess } from "../../../contract/object-store.ts";
import type {
  IcebergSchema,
  PartitionField,
  TableMetadata,
  TableRequirement,
  TableUpdate,
} from "../format/types.ts";

/** The name of a table: at least one namespace level, then the table's own name. */
export interface TableIdentifier {
  readonly namespace: readonly string[];
  readonly name: string;
}

/** A table as its catalog has it. */
export interface LoadedTable {
  readonly metadata: TableMetadata;
  /** The metadata file. A REST catalog may keep it to itself. */
  readonly metadataLocation?: string;
  /** Credentials for the table's files, if the catalog vends them. */
  readonly access?: StoreAccess;
}

/** A table to create. Catalogs may assign other field ids than these. */
export interface NewTable {
  /** Absent: the catalog chooses a folder in its warehouse. */
  readonly location?: string;
  readonly schema: IcebergSchema;
  /** Fields of the partition spec. `source-id` is an id in `schema`. */
  readonly partitionFields: readonly PartitionField[];
  readonly properties: Readonly<Record<string, string>>;
}

/** Requirements and updates that a catalog applies in one step, or not at all. */
export interface TableCommit {
  readonly requirements: readonly TableRequirement[];
  readonly updates: readonly TableUpdate[];
}

/**
 * The outcome of a commit. `conflict`: it certainly did not take effect, because a requirement was
 * not met or another writer was faster. `unknown`: the answer was lost, so the table must be loaded
 * to find out. Refusals of other kinds are thrown.
 */
export type CatalogOutcome =
  | { readonly outcome: "committed" }
  | { readonly outcome: "conflict"; readonly reason: string }
  | { readonly outcome: "unknown"; readonly cause: MillraceError };

/** The part of Iceberg's catalogs that a sink needs. */
export interface IcebergCatalog {
  /** The kind and place of the catalog for messages and for the ledger, without secrets. */
  readonly description: string;
  /**
   * Returns the table, or `undefined` if there is none. Errors: `CATALOG_FAILED`, `CATALOG_DENIED`.
   */
  loadTable(table: TableIdentifier): Promise<LoadedTable | undefined>;
  /**
   * Creates the namespace, if there is none, and the table. If the table exists, for example
   * because another process was faster, it returns the existing one.
   */
  createTable(table: TableIdentifier, spec: NewTable): Promise<LoadedTable>;
  /** `base` is the table as it was loaded, from which the commit was made. */
  commitTable(table: TableIdentifier, base: LoadedTable, commit: TableCommit): Promise<CatalogOutcome>;
  /** Releases connections. */
  close(): Promise<void>;
}
