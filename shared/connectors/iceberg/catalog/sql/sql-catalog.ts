import type { Runtime } from "../../../../contract/context.ts";
import { MillraceError } from "../../../../contract/errors.ts";
import type { OpenStore } from "../../file-io.ts";
import { newMetadata } from "../../format/metadata.ts";
import { applyCommit } from "../../format/updates.ts";
import type {
  CatalogOutcome,
  IcebergCatalog,
  LoadedTable,
  NewTable,
  TableCommit,
  TableIdentifier,
} from "../catalog.ts";
import { nameTaken, tableGone } from "../errors.ts";
import { tableNameOf } from "../identifier.ts";
import type { SqlDatabase } from "./database.ts";
import { MetadataFiles } from "./metadata-files.ts";
import {
  insertNamespace,
  insertRow,
  LONGEST_LOCATION,
  moveRow,
  namespaceLocation,
  prepare,
  selectRow,
  type TableKey,
  versionOf,
} from "./statements.ts";
import { freeFolder, keyOf, locationOf } from "./table-location.ts";

interface SqlCatalogParts {
  readonly database: SqlDatabase;
  /** The name of the catalog in its rows. */
  readonly name: string;
  /** The folder or URL of new tables. */
  readonly warehouse: string;
  readonly runtime: Pick<Runtime, "newId" | "now">;
  readonly openStore: OpenStore;
}

/**
 * Iceberg's SQL catalog: a row for each table names its metadata file, and a commit replaces this
 * name if it is still the one that the commit was made from.
 */
export class SqlCatalog implements IcebergCatalog {
  readonly description: string;
  readonly #parts: SqlCatalogParts;
  readonly #files: MetadataFiles;
  readonly #warehouse: string;

  /** Error: `LOCATION_NOT_SUPPORTED`. */
  constructor(parts: SqlCatalogParts) {
    this.#parts = parts;
    this.description = `SQL catalog ${parts.name} in ${parts.database.place}`;
    this.#files = new MetadataFiles(parts.openStore, () => parts.runtime.newId());
    this.#warehouse = locationOf(parts.openStore, parts.warehouse, "the warehouse of the catalog");
  }

  async loadTable(table: TableIdentifier): Promise<LoadedTable | undefined> {
    const location = await this.#locationOf(table);
    if (location === undefined) return undefined;
    return { metadata: await this.#files.read(location), metadataLocation: location };
  }

  async createTable(table: TableIdentifier, spec: NewTable): Promise<LoadedTable> {
    const known = await this.loadTable(table);
    if (known !== undefined) return known;
    const { runtime, database } = this.#parts;
    const key = keyOf(this.#parts.name, table);
    // First of all, because this makes the folder of an embedded catalog with the right rights.
    const home = await database.write(async (session) => {
      await prepare(session);
      await insertNamespace(session, key);
      return await namespaceLocation(session, key);
    });
    const metadata = newMetadata({
      uuid: runtime.newId(),
      location: await this.#newLocation(table, spec, home),
      schema: spec.schema,
      partitionFields: spec.partitionFields,
      properties: spec.properties,
      now: runtime.now(),
    });
    const metadataLocation = await this.#write(metadata, undefined);
    if (await this.#insert(table, key, metadataLocation)) return { metadata, metadataLocation };
    const found = await this.loadTable(table);
    if (found === undefined) throw tableGone(table, this.description);
    return found;
  }

  /** Returns false if the name is taken, by another table or by this one. */
  async #insert(table: TableIdentifier, key: TableKey, location: string): Promise<boolean> {
    try {
      const isOurs = await this.#parts.database.write(async (session) =>
        insertRow(session, await prepare(session), key, location),
      );
      if (!isOurs) await this.#files.discard([location]);
      return isOurs;
    } catch (error) {
      // The end of the transaction may have been lost after it took effect.
      if ((await this.#locationOf(table)) === undefined) throw error;
      return false;
    }
  }

  async commitTable(table: TableIdentifier, base: LoadedTable, commit: TableCommit): Promise<CatalogOutcome> {
    const from = base.metadataLocation;
    if (from === undefined) throw new TypeError("the table was not loaded from this catalog");
    const applied = this.#applied(base, from, commit);
    if ("outcome" in applied) return applied;
    const { metadata } = applied;
    if (metadata === base.metadata) return await this.#unchanged(table, from);
    const to = await this.#write(metadata, from);
    const outcome = await this.#move(table, from, to);
    if (outcome.outcome === "conflict") {
      await this.#files.discard([to]);
      // A table that is gone would be a conflict for ever.
      if ((await this.#locationOf(table)) === undefined) throw tableGone(table, this.description);
    }
    if (outcome.outcome === "committed") await this.#files.deleteObsolete(base.metadata, metadata);
    return outcome;
  }

  /**
   * The outcome of a commit that changes nothing: its requirements are met if the table is as it
   * was.
   */
  async #unchanged(table: TableIdentifier, from: string): Promise<CatalogOutcome> {
    const location = await this.#locationOf(table);
    if (location === undefined) throw tableGone(table, this.description);
    return location === from ? { outcome: "committed" } : this.#moved(table);
  }

  #moved(table: TableIdentifier): CatalogOutcome {
    return { outcome: "conflict", reason: `another writer changed the table ${tableNameOf(table)}` };
  }

  async close(): Promise<void> {
    await this.#parts.database.close();
  }

  #applied(
    base: LoadedTable,
    from: string,
    commit: TableCommit,
  ): CatalogOutcome | { readonly metadata: LoadedTable["metadata"] } {
    try {
      const applied = applyCommit(base.metadata, from, commit, this.#parts.runtime.now());
      return "conflict" in applied ? { outcome: "conflict", reason: applied.conflict } : applied;
    } catch (error) {
      if (MillraceError.is(error) && error.code === "SNAPSHOT_EXISTS")
        return { outcome: "unknown", cause: error };
      throw error;
    }
  }

  /** Replaces the name of the metadata file. */
  async #move(table: TableIdentifier, from: string, to: string): Promise<CatalogOutcome> {
    const { database, name } = this.#parts;
    const key = keyOf(name, table);
    let isMoved = false;
    try {
      isMoved = await database.write(async (session) => {
        isMoved = await moveRow(session, await prepare(session), key, from, to);
        return isMoved;
      });
    } catch (error) {
      if (!MillraceError.is(error)) throw error;
      if (!isMoved && database.isContention(error)) return { outcome: "conflict", reason: error.message };
      // A transaction whose end was lost may have taken effect.
      if (isMoved || error.retryable) return { outcome: "unknown", cause: error };
      throw error;
    }
    if (isMoved) return { outcome: "committed" };
    return this.#moved(table);
  }

  async #write(metadata: LoadedTable["metadata"], before: string | undefined): Promise<string> {
    const location = await this.#files.write(metadata, before);
    if (location.length <= LONGEST_LOCATION) return location;
    await this.#files.discard([location]);
    throw new MillraceError(
      "LOCATION_NOT_SUPPORTED",
      `a location in a SQL catalog has at most ${LONGEST_LOCATION} characters, and the metadata file has ${location.length}`,
      {
        where: { path: location },
        hint: "Choose a shorter warehouse, or a shorter name of the table, and `millrace run` again.",
      },
    );
  }

  /** Returns the table's metadata file. Error: `TABLE_NAME_TAKEN` if a view has the name. */
  async #locationOf(table: TableIdentifier): Promise<string | undefined> {
    const key = keyOf(this.#parts.name, table);
    const row = await this.#parts.database.read(async (session) => {
      const version = await versionOf(session);
      return version === undefined ? undefined : await selectRow(session, version, key);
    });
    if (row === undefined) return undefined;
    const location = row["metadata_location"];
    if ((row["iceberg_type"] ?? "TABLE") !== "TABLE" || location == null)
      throw nameTaken(table, this.description);
    return location;
  }

  async #newLocation(
    table: TableIdentifier,
    { location }: NewTable,
    ofNamespace: string | undefined,
  ): Promise<string> {
    const { openStore, runtime } = this.#parts;
    if (location !== undefined) return locationOf(openStore, location, "the location of the table");
    const root = ofNamespace ?? [this.#warehouse, ...table.namespace].join("/");
    const folder = locationOf(openStore, `${root}/${table.name}`, "the location of the table");
    return await freeFolder(openStore, folder, runtime.newId());
  }
}
