import { FileIo } from "../../../shared/connectors/iceberg/file-io.ts";
import { Iceberg, type IcebergOptions } from "../../../shared/connectors/iceberg/index.ts";
import { planExpire } from "../../../shared/connectors/iceberg/maintenance/expire.ts";
import { planRollback } from "../../../shared/connectors/iceberg/maintenance/rollback.ts";
import type { TableParts } from "../../../shared/connectors/iceberg/maintenance/table-parts.ts";
import { readSnapshot } from "../../../shared/connectors/iceberg/read/read-snapshot.ts";
import { sinkParts, withCatalog } from "../../../shared/connectors/iceberg/sink/open-table.ts";
import type { DataSourceRuntime } from "../../../shared/contract/context.ts";
import { parseOptions } from "../../../shared/contract/options/parse.ts";
import { canonicalRows, type Row } from "./readers.ts";
import { sinkRuntime } from "./stream.ts";

type Overrides = Partial<DataSourceRuntime>;

/** Opens a table by Millrace for one piece of work. */
async function withTable<T>(
  options: IcebergOptions,
  overrides: Overrides,
  body: (parts: TableParts) => Promise<T>,
): Promise<T> {
  const runtime = sinkRuntime(overrides);
  const parsed = await parseOptions(Iceberg, { ...options });
  return await withCatalog(
    sinkParts(parsed, runtime),
    async (open) => await body({ ...open, runtime, openStore: runtime.openStore }),
  );
}

/** Reads the current rows of a table by Millrace, or those of a snapshot. */
export async function ownRows(options: IcebergOptions, snapshot?: string): Promise<Row[]> {
  return await withTable(options, {}, async ({ catalog, identifier, openStore }) => {
    const loaded = await catalog.loadTable(identifier);
    if (loaded === undefined) throw new Error(`there is no table ${options.table}`);
    const { metadata, access } = loaded;
    const io = new FileIo(openStore, metadata.location, { access });
    const selection = snapshot === undefined ? {} : { snapshotId: BigInt(snapshot) };
    return canonicalRows(await Array.fromAsync(readSnapshot(io, metadata, selection)));
  });
}

/** Expires all snapshots but the newest `keep`. Returns how many expired. */
export async function expireSnapshots(
  options: IcebergOptions,
  keep: number,
  overrides: Overrides = {},
): Promise<number> {
  return await withTable(options, overrides, async (parts) => {
    const olderThan = parts.runtime.now() + 60_000;
    const { snapshots } = await (await planExpire(parts, { olderThan, keep })).apply();
    return snapshots.length;
  });
}

/** Makes an older snapshot the current one. */
export async function rollBack(
  options: IcebergOptions,
  snapshot: string,
  overrides: Overrides = {},
): Promise<void> {
  await withTable(options, overrides, async (parts) => {
    await (await planRollback(parts, { snapshotId: BigInt(snapshot) })).apply();
  });
}

/** Returns the ids of the table's snapshots, the oldest first. */
export async function snapshotIds(options: IcebergOptions): Promise<string[]> {
  return await withTable(options, {}, async ({ catalog, identifier }) => {
    const snapshots = (await catalog.loadTable(identifier))?.metadata.snapshots ?? [];
    return snapshots.map((snapshot) => String(snapshot["snapshot-id"]));
  });
}

/** Returns the location of the table's metadata file. */
export async function metadataLocation(options: IcebergOptions): Promise<string> {
  return await withTable(options, {}, async ({ catalog, identifier }) => {
    const location = (await catalog.loadTable(identifier))?.metadataLocation;
    if (location === undefined) throw new Error(`the catalog does not tell where ${options.table} is`);
    return location;
  });
}
