import { openStore, runtime } from "../../../../local/home.ts";
import type { IcebergCatalog } from "../../../../shared/connectors/iceberg/catalog/catalog.ts";
import { openCatalog } from "../../../../shared/connectors/iceberg/catalog/open-catalog.ts";
import {
  CATALOG_OPTIONS,
  type CatalogOptions,
} from "../../../../shared/connectors/iceberg/catalog/options.ts";
import type { Runtime } from "../../../../shared/contract/context.ts";

/** Opens a catalog as a run on this machine does. */
export async function open(
  options: CatalogOptions,
  env: Runtime["env"] = {},
  home?: string,
): Promise<IcebergCatalog> {
  return await openCatalog(CATALOG_OPTIONS.parse(options), {
    runtime: { ...runtime, env },
    openStore,
    home,
  });
}

export async function openSqlite(path: string): Promise<IcebergCatalog> {
  return await open({ type: "sqlite", path });
}
