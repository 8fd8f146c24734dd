import type { FileIo } from "../file-io.ts";
import { decodeManifest, encodeManifest } from "../format/manifest.ts";
import { currentSchema, specById } from "../format/metadata.ts";
import { partitionTypes } from "../format/partition-spec.ts";
import { partitionSummaries } from "../format/partition-summaries.ts";
import { pathOf } from "../format/schema.ts";
import type {
  IcebergSchema,
  Long,
  ManifestEntry,
  ManifestFile,
  PartitionSpec,
  TableMetadata,
} from "../format/types.ts";

/** The snapshot that a commit makes, as far as its manifests need it. */
export interface NewSnapshot {
  readonly id: bigint;
  readonly sequenceNumber: Long;
  /** The schema that the table has after the commit. */
  readonly schema: IcebergSchema;
}

/** Reads and writes the manifests of one table. */
export class Manifests {
  readonly #io: FileIo;
  readonly #metadata: TableMetadata;
  readonly #newLocation: () => string;

  constructor(io: FileIo, metadata: TableMetadata, newLocation: () => string) {
    this.#io = io;
    this.#metadata = metadata;
    this.#newLocation = newLocation;
  }

  async read(file: ManifestFile): Promise<readonly ManifestEntry[]> {
    const spec = specById(this.#metadata, file.partitionSpecId);
    const schema = schemaOfSpec(this.#metadata, spec, currentSchema(this.#metadata));
    const bytes = await this.#io.read(file.manifestPath);
    // The column of an older manifest may have been widened since.
    return schema === undefined
      ? decodeManifest(bytes, file)
      : decodeManifest(bytes, file, partitionTypes(spec, schema));
  }

  /**
   * False if no schema has the columns of a partition spec any more, so that its manifests can only
   * be kept as they are. An engine that expires snapshots may remove old schemas.
   */
  canWrite(specId: number): boolean {
    const spec = specById(this.#metadata, specId);
    return schemaOfSpec(this.#metadata, spec, currentSchema(this.#metadata)) !== undefined;
  }

  /** Writes a manifest with entries of one partition spec and one kind of content. */
  async write(
    entries: readonly ManifestEntry[],
    { specId, content }: { readonly specId: number; readonly content: 0 | 1 },
    snapshot: NewSnapshot,
  ): Promise<ManifestFile> {
    const spec = specById(this.#metadata, specId);
    const schema = schemaOfSpec(this.#metadata, spec, snapshot.schema) ?? snapshot.schema;
    const partition = partitionTypes(spec, schema);
    const bytes = encodeManifest(entries, { schema, spec, partition, content });
    const manifestPath = this.#newLocation();
    await this.#io.write(manifestPath, bytes);
    const files = entries.map(({ dataFile }) => dataFile);
    return {
      manifestPath,
      manifestLength: bytes.length,
      partitionSpecId: specId,
      content,
      sequenceNumber: snapshot.sequenceNumber,
      minSequenceNumber: minSequenceNumber(entries, snapshot),
      addedSnapshotId: snapshot.id,
      ...countsOf(entries),
      partitions: partitionSummaries(partition, files),
    };
  }
}

/** Deleted files do not count. A file that is added has the number of the snapshot. */
function minSequenceNumber(entries: readonly ManifestEntry[], { sequenceNumber }: NewSnapshot): Long {
  let min = BigInt(sequenceNumber);
  for (const entry of entries) {
    if (entry.status === 2 || entry.sequenceNumber === undefined) continue;
    const own = BigInt(entry.sequenceNumber);
    if (own < min) min = own;
  }
  return min <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(min) : min;
}

function countsOf(
  entries: readonly ManifestEntry[],
): Pick<
  ManifestFile,
  | "addedFilesCount"
  | "existingFilesCount"
  | "deletedFilesCount"
  | "addedRowsCount"
  | "existingRowsCount"
  | "deletedRowsCount"
> {
  const files = [0, 0, 0];
  const rows = [0, 0, 0];
  for (const { status, dataFile } of entries) {
    files[status] = (files[status] as number) + 1;
    rows[status] = (rows[status] as number) + dataFile.recordCount;
  }
  return {
    existingFilesCount: files[0] as number,
    addedFilesCount: files[1] as number,
    deletedFilesCount: files[2] as number,
    existingRowsCount: rows[0] as number,
    addedRowsCount: rows[1] as number,
    deletedRowsCount: rows[2] as number,
  };
}

/**
 * Returns a schema that has the source columns of a partition spec: `latest`, or the newest one
 * before a column of an older spec was dropped. `undefined` if there is none.
 */
function schemaOfSpec(
  metadata: TableMetadata,
  spec: PartitionSpec,
  latest: IcebergSchema,
): IcebergSchema | undefined {
  const hasSources = (schema: IcebergSchema) =>
    spec.fields.every((field) => pathOf(schema, field["source-id"]) !== undefined);
  if (hasSources(latest)) return latest;
  return metadata.schemas.findLast(hasSources);
}
