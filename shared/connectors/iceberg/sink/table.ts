import type { CommittedBatch } from "../../../contract/batch-identity.ts";
import type { SupportsExists } from "../../../contract/batch-writer.ts";
import type { BatchContext } from "../../../contract/context.ts";
import type {
  DamagedFile,
  NewestBatchContext,
  SupportsCommitLookup,
  SupportsNewestBatch,
  SupportsStagedFiles,
  SupportsTargetName,
  SupportsVacuum,
  VacuumContext,
  VacuumResult,
} from "../../../contract/stream-writer.ts";
import type { SupportsWrite, TableCapability } from "../../../contract/write/table.ts";
import type { LogicalWriteInfo } from "../../../contract/write/write-info.ts";
import type { LoadedTable } from "../catalog/catalog.ts";
import { hasBatch, newestBatchOf } from "./marker.ts";
import { type FilesMessage, namedFiles } from "./message.ts";
import { filesOf, type SinkParts, withCatalog } from "./open-table.ts";
import { targetNameOf } from "./target-name.ts";
import { vacuumFiles } from "./vacuum.ts";
import { IcebergWriteBuilder } from "./write.ts";
import { filesIfThere, isTarget } from "./write-plan.ts";

const FILTER =
  "An Iceberg table replaces all rows, or whole partitions with .overwritePartitions() and the option partitionBy.";

/** An Iceberg table as a sink, in the form of Spark's package `connector.write`. */
export class IcebergSink
  implements
    SupportsWrite,
    SupportsExists,
    SupportsNewestBatch,
    SupportsCommitLookup,
    SupportsStagedFiles<FilesMessage>,
    SupportsTargetName,
    SupportsVacuum
{
  readonly name: string;
  readonly capabilities: ReadonlySet<TableCapability> = new Set<TableCapability>([
    "BATCH_READ",
    "BATCH_WRITE",
    "STREAMING_WRITE",
    "TRUNCATE",
    "OVERWRITE_DYNAMIC",
    // Planning matches the columns with those of the table.
    "ACCEPT_ANY_SCHEMA",
    "AUTOMATIC_SCHEMA_EVOLUTION",
  ]);
  readonly insteadOf = { OVERWRITE_BY_FILTER: FILTER } as const;
  readonly #parts: SinkParts;

  constructor(parts: SinkParts) {
    this.#parts = parts;
    this.name = parts.options.table;
  }

  newWriteBuilder(info: LogicalWriteInfo): IcebergWriteBuilder {
    return new IcebergWriteBuilder(this.#parts, info);
  }

  async exists(): Promise<boolean> {
    return await this.#load((loaded) => loaded !== undefined && isTarget(loaded));
  }

  async newestBatch({ pipeline }: NewestBatchContext): Promise<CommittedBatch | undefined> {
    return await this.#load((loaded) =>
      loaded === undefined ? undefined : newestBatchOf(loaded.metadata, pipeline),
    );
  }

  async hasCommitted(_batchId: number, batch: BatchContext): Promise<boolean> {
    return await this.#load((loaded) => loaded !== undefined && hasBatch(loaded.metadata, batch));
  }

  async #load<T>(body: (loaded: LoadedTable | undefined) => T | Promise<T>): Promise<T> {
    return await withCatalog(this.#parts, async ({ catalog, identifier }) =>
      body(await catalog.loadTable(identifier)),
    );
  }

  async findDamaged(messages: readonly (FilesMessage | null)[]): Promise<readonly DamagedFile[]> {
    const first = messages.find((message) => message !== null);
    const io = first && (await filesIfThere(this.#parts, { isVended: false, ...first }));
    // Of a table that is gone the commit tells.
    if (io === undefined) return [];
    const named = messages.flatMap((message, partition) =>
      namedFiles(message).map((file) => ({ ...file, partition })),
    );
    const sizes = await io.sizesOf(named.map(({ path, bytes }) => ({ location: path, expected: bytes })));
    return named.flatMap(({ path, bytes, partition }) => {
      const size = sizes.get(path);
      if (size === bytes) return [];
      const found = size === undefined ? "is gone" : `has ${size === -1 ? "another number of" : size} bytes`;
      return [{ partition, path, problem: `${found}, and ${bytes} bytes were written` }];
    });
  }

  targetName(): string {
    return targetNameOf(this.#parts.options);
  }

  async vacuum(context: VacuumContext): Promise<VacuumResult> {
    return await withCatalog(this.#parts, async ({ catalog, identifier }) => {
      const load = () => catalog.loadTable(identifier);
      const loaded = await load();
      const io = loaded === undefined ? undefined : filesOf(this.#parts, loaded);
      // A table bucket removes unreferenced files itself. Other tables may use the files of a table
      // without garbage collection.
      const isKept = loaded?.metadata.properties["gc.enabled"]?.toLowerCase() === "false";
      if (io === undefined || io.isManaged || isKept) return { files: 0, bytes: 0 };
      return await vacuumFiles(io, load, context);
    });
  }
}
