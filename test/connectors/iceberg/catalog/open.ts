import { openStore, runtime } from "../../../../local/home.ts";
import type { IcebergCatalog } from "../../../../shared/connectors/iceberg/catalog/catalog.ts";
import { openCatalog } from "../../../../shared/connectors/iceberg/catalog/open-catalog.ts";
import {
  CATALOG_OPTIONS,
  type CatalogOptions,
  type RestCatalogOptions,
} from "../../../../shared/connectors/iceberg/catalog/options.ts";
import type { Runtime } from "../../../../shared/contract/context.ts";
import { type FakeRuntime, runtimeAt } from "../../../support/api-server.ts";
import type { RestServer } from "./rest-server.ts";

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

/** Opens a REST catalog with a runtime whose waits take no time. */
export async function client(
  { uri }: Pick<RestServer, "uri">,
  options: Omit<RestCatalogOptions, "type" | "uri"> = {},
  fake: FakeRuntime = runtimeAt("2026-11-28T12:00:00Z"),
): Promise<IcebergCatalog> {
  return await openCatalog(CATALOG_OPTIONS.parse({ type: "rest", uri, ...options }), {
    runtime: fake,
    openStore,
  });
}
