import { existsSync } from "node:fs";
import { join } from "node:path";
import { Home, openStore, runtime } from "../../local/home.ts";
import type { LoadedTable } from "../../shared/connectors/iceberg/catalog/catalog.ts";
import { parseTableName } from "../../shared/connectors/iceberg/catalog/identifier.ts";
import { openCatalog } from "../../shared/connectors/iceberg/catalog/open-catalog.ts";
import {
  DEFAULT_CATALOG,
  type ParsedCatalogOptions,
} from "../../shared/connectors/iceberg/catalog/options.ts";
import type { FileIo } from "../../shared/connectors/iceberg/file-io.ts";
import { parseMetadata } from "../../shared/connectors/iceberg/format/metadata.ts";
import {
  filesOf as filesOfLoaded,
  loadTable,
  type TableParts,
} from "../../shared/connectors/iceberg/maintenance/table-parts.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import { optional } from "../../shared/contract/optional.ts";
import { parseOptions } from "../../shared/contract/options/parse.ts";
import { loadDefinition } from "../definitions.ts";

/** An Iceberg table that a command names. */
export interface NamedTable {
  /** What messages call the table. */
  readonly name: string;
  load(): Promise<LoadedTable>;
  /** Absent for a metadata file, which cannot be changed. */
  readonly changes?: TableParts;
  /** The options of the catalog. Absent for a metadata file. */
  readonly catalog?: ParsedCatalogOptions;
}

/** Returns the files of a table. */
export function filesOf(loaded: LoadedTable): FileIo {
  return filesOfLoaded({ openStore }, loaded);
}

/**
 * Calls `body` with the table that `name` stands for: a metadata file, a pipeline with an Iceberg
 * sink, by its name or file, or a table of the home's catalog, as in `demo.earthquakes`. Error:
 * `TABLE_NOT_FOUND`.
 */
export async function withIcebergTable<T>(
  name: string,
  home: string,
  body: (table: NamedTable) => Promise<T>,
): Promise<T> {
  if (isMetadataFile(name)) return await body({ name, load: () => loadMetadataFile(name) });
  const options = (await optionsOfPipeline(name, new Home(home))) ?? optionsInHome(name, home);
  if (options === undefined) throw notFound(name, home);
  const catalog = await openCatalog(options.catalog, { runtime, home: new Home(home).root, openStore });
  const changes = { catalog, identifier: parseTableName(options.table), openStore, runtime };
  try {
    return await body({
      name: options.table,
      load: () => loadTable(changes),
      changes,
      catalog: options.catalog,
    });
  } finally {
    await catalog.close();
  }
}

interface TableOptions {
  readonly table: string;
  readonly catalog: ParsedCatalogOptions;
}

/** Returns the table of a pipeline's sink, or `undefined` if there is no such pipeline or table. */
async function optionsOfPipeline(nameOrFile: string, home: Home): Promise<TableOptions | undefined> {
  const isFile = /\.[cm]?[jt]s$/.test(nameOrFile);
  if (!isFile && home.entryOf(nameOrFile) === undefined) return undefined;
  const { pipeline } = await loadDefinition(home, nameOrFile);
  const { dataSource, options } = pipeline.sink;
  if (dataSource.name !== "iceberg") return undefined;
  const { table, catalog = DEFAULT_CATALOG } = (await parseOptions(dataSource, options)) as {
    readonly table: string;
    readonly catalog?: ParsedCatalogOptions;
  };
  return { table, catalog };
}

/** A catalog that does not exist is not made to look into it. */
function optionsInHome(name: string, home: string): TableOptions | undefined {
  if (!name.includes(".") || !existsSync(join(home, "warehouse", "catalog.db"))) return undefined;
  return { table: name, catalog: DEFAULT_CATALOG };
}

export function isMetadataFile(name: string): boolean {
  return name.endsWith(".metadata.json");
}

/** Errors: `TABLE_NOT_FOUND`, `STORE_FAILED`, those of `parseMetadata`. */
async function loadMetadataFile(location: string): Promise<LoadedTable> {
  const slash = location.lastIndexOf("/");
  const store = openStore(slash < 0 ? "." : location.slice(0, slash));
  const key = location.slice(slash + 1);
  const bytes = await store.get(key);
  if (bytes === undefined) {
    throw new MillraceError("TABLE_NOT_FOUND", `there is no metadata file ${location}`, {
      where: { path: location },
      hint: "`millrace table path` prints the current metadata file of a table.",
    });
  }
  const metadataLocation = `${store.location}/${key}`;
  const metadata = parseMetadata(bytes, metadataLocation);
  return { metadata, ...optional("metadataLocation", metadataLocation) };
}

function notFound(name: string, home: string): MillraceError {
  return new MillraceError(
    "TABLE_NOT_FOUND",
    `there is no table ${name}, and no pipeline of that name has one in ${home}`,
    {
      hint: "Name a pipeline that has committed a batch, or its file; a table of the home's catalog such as demo.earthquakes; an Iceberg table's metadata file; or for `cat` and `table files` an Arrow table's folder, the one that holds _log.",
    },
  );
}
