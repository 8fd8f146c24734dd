import type { DataSourceRuntime } from "../../../contract/context.ts";
import { MillraceError } from "../../../contract/errors.ts";
import { optional } from "../../../contract/optional.ts";
import type { IcebergCatalog, LoadedTable, TableIdentifier } from "../catalog/catalog.ts";
import { parseTableName } from "../catalog/identifier.ts";
import { openCatalog } from "../catalog/open-catalog.ts";
import { DEFAULT_CATALOG } from "../catalog/options.ts";
import { FileIo } from "../file-io.ts";
import type { ParsedOptions } from "../options.ts";

/** What all parts of the sink work with. */
export interface SinkParts {
  readonly options: ParsedOptions;
  readonly runtime: DataSourceRuntime;
}

/** The catalog and the table's name in it. */
export interface OpenCatalog {
  readonly catalog: IcebergCatalog;
  readonly identifier: TableIdentifier;
}

/** Opens the catalog for one piece of work, and closes it afterwards. */
export async function withCatalog<T>(
  { options, runtime }: SinkParts,
  body: (open: OpenCatalog) => Promise<T>,
): Promise<T> {
  const identifier = parseTableName(options.table);
  const catalog = await openCatalog(options.catalog ?? DEFAULT_CATALOG, {
    runtime,
    openStore: (location, access) => runtime.openStore(location, access),
    ...optional("home", runtime.home),
  });
  try {
    return await body({ catalog, identifier });
  } finally {
    await catalog.close();
  }
}

/** Returns the files of a loaded table. */
export function filesOf({ runtime }: SinkParts, { metadata, access }: LoadedTable): FileIo {
  return new FileIo((location, vended) => runtime.openStore(location, vended), metadata.location, access);
}

/** The error of a table that was there when the batch was planned. */
export function tableGone(table: string): MillraceError {
  return new MillraceError("TABLE_NOT_FOUND", `the table ${table} is not in the catalog any more`, {
    hint: "Nothing was committed. The next `millrace run` plans the batch again, and creates the table.",
  });
}
