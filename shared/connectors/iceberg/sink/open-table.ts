import type { DataSourceRuntime } from "../../../contract/context.ts";
import { MillraceError } from "../../../contract/errors.ts";
import type { StoreAccess } from "../../../contract/object-store.ts";
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
  openCatalog(): Promise<IcebergCatalog>;
}

/** Returns what the sink works with. */
export function sinkParts(options: ParsedOptions, runtime: DataSourceRuntime): SinkParts {
  return {
    options,
    runtime,
    openCatalog: () =>
      openCatalog(options.catalog ?? DEFAULT_CATALOG, {
        runtime,
        openStore: (location, access) => runtime.openStore(location, access),
        ...optional("home", runtime.home),
      }),
  };
}

/** The catalog and the table's name in it. */
export interface OpenCatalog {
  readonly catalog: IcebergCatalog;
  readonly identifier: TableIdentifier;
}

/** Opens the catalog for one piece of work, and closes it afterwards. */
export async function withCatalog<T>(
  parts: Pick<SinkParts, "options" | "openCatalog">,
  body: (open: OpenCatalog) => Promise<T>,
): Promise<T> {
  const identifier = parseTableName(parts.options.table);
  const catalog = await parts.openCatalog();
  try {
    return await body({ catalog, identifier });
  } finally {
    await catalog.close();
  }
}

/** Returns the files of a loaded table. */
export function filesOf(parts: SinkParts, { metadata, access }: LoadedTable): FileIo {
  return filesAt(parts, metadata.location, access);
}

/** Returns the files of the table at a location. */
export function filesAt({ options, runtime }: SinkParts, location: string, access?: StoreAccess): FileIo {
  const managed = options.catalog?.type === "s3tables" ? { isManaged: true } : {};
  return new FileIo((place, vended) => runtime.openStore(place, vended), location, { access, ...managed });
}

/** The error of a table that was there when the batch was planned. */
export function tableGone(table: string): MillraceError {
  return new MillraceError("TABLE_NOT_FOUND", `the table ${table} is not in the catalog any more`, {
    hint: "Nothing was committed. The next `millrace run` plans the batch again, and creates the table.",
  });
}
