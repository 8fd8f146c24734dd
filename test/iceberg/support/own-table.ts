import { FileIo } from "../../../shared/connectors/iceberg/file-io.ts";
import { Iceberg, type IcebergOptions } from "../../../shared/connectors/iceberg/index.ts";
import { readSnapshot } from "../../../shared/connectors/iceberg/read/read-snapshot.ts";
import { withCatalog } from "../../../shared/connectors/iceberg/sink/open-table.ts";
import { parseOptions } from "../../../shared/contract/options/parse.ts";
import { canonicalRows, type Row } from "./readers.ts";
import { sinkRuntime } from "./stream.ts";

/** Reads the current rows of a table by Millrace, or those of a snapshot. */
export async function ownRows(options: IcebergOptions, snapshot?: string): Promise<Row[]> {
  const runtime = sinkRuntime();
  const parsed = await parseOptions(Iceberg, { ...options });
  return await withCatalog({ options: parsed, runtime }, async ({ catalog, identifier }) => {
    const loaded = await catalog.loadTable(identifier);
    if (loaded === undefined) throw new Error(`there is no table ${options.table}`);
    const { metadata, access } = loaded;
    const io = new FileIo((place, vended) => runtime.openStore(place, vended), metadata.location, access);
    const selection = snapshot === undefined ? {} : { snapshotId: BigInt(snapshot) };
    return canonicalRows(await Array.fromAsync(readSnapshot(io, metadata, selection)));
  });
}
