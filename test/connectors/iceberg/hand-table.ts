import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { FileIo } from "../../../shared/connectors/iceberg/file-io.ts";
import { canonicalRows } from "../../../shared/connectors/iceberg/files/canonical.ts";
import { writeDataFiles } from "../../../shared/connectors/iceberg/files/write-data-files.ts";
import { encodeManifest } from "../../../shared/connectors/iceberg/format/manifest.ts";
import { encodeManifestList } from "../../../shared/connectors/iceberg/format/manifest-list.ts";
import { currentSchema, newMetadata } from "../../../shared/connectors/iceberg/format/metadata.ts";
import {
  parsePartitionFields,
  partitionTypes,
} from "../../../shared/connectors/iceberg/format/partition-spec.ts";
import { icebergSchemaOf } from "../../../shared/connectors/iceberg/format/schema.ts";
import type {
  DataFile,
  IcebergSchema,
  ManifestFile,
  NestedField,
  PartitionSpec,
  PartitionTuple,
  TableMetadata,
} from "../../../shared/connectors/iceberg/format/types.ts";
import { applyCommit } from "../../../shared/connectors/iceberg/format/updates.ts";
import {
  type ReadSnapshotOptions,
  readSnapshot,
} from "../../../shared/connectors/iceberg/read/read-snapshot.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import type { Row } from "../../../shared/contract/stream-reader.ts";
import { MemoryStore, memoryObjects } from "../../../shared/platform/memory/memory-store.ts";

const UNPARTITIONED: PartitionSpec = { "spec-id": 0, fields: [] };
/** The columns that the specification gives position delete files. */
const DELETES: IcebergSchema = {
  type: "struct",
  "schema-id": 0,
  fields: [
    { id: 2_147_483_546, name: "file_path", required: true, type: "string" },
    { id: 2_147_483_545, name: "pos", required: true, type: "long" },
  ],
};

/**
 * A table in memory whose snapshots are put together by hand, as other engines would write them.
 */
export class HandTable {
  readonly objects = memoryObjects(() => 0);
  readonly io = new FileIo((root) => new MemoryStore(this.objects, `${root.replace(/^\//, "")}/`), "/t");
  metadata: TableMetadata;
  #manifests: ManifestFile[] = [];
  #files = 0;

  constructor(ddl: string, by: readonly string[] = [], properties: Readonly<Record<string, string>> = {}) {
    const { schema } = icebergSchemaOf(parseDdl(ddl));
    this.metadata = newMetadata({
      uuid: "11111111-1111-4111-8111-111111111111",
      location: "/t",
      schema,
      partitionFields: parsePartitionFields(by, schema),
      properties,
      now: 0,
    });
  }

  get spec(): PartitionSpec {
    return this.metadata["partition-specs"][0] ?? UNPARTITIONED;
  }

  /** Writes data files, without adding them to the table. */
  async write(ddl: string, rows: readonly Row[]): Promise<readonly DataFile[]> {
    const source = parseDdl(ddl);
    const schema = currentSchema(this.metadata);
    const batch = canonicalRows(source, schema, {}, "refuse").apply(recordBatchOf(source, rows), 0);
    return await this.#write(schema, this.spec, [batch]);
  }

  async #write(schema: IcebergSchema, spec: PartitionSpec, batches: Parameters<typeof writeDataFiles>[0]) {
    const number = this.#files++;
    const locationOf = (file: number, folder: string) => `/t/data/${folder}${number}-${file}.parquet`;
    return await writeDataFiles(batches, { schema, spec, io: this.io, locationOf, rowGroupRows: 4 });
  }

  /** Writes a file of position deletes. */
  async deletes(
    rows: readonly (readonly [path: string, position: number])[],
    file: Partial<DataFile> = {},
  ): Promise<DataFile> {
    const batch = recordBatchOf(parseDdl("file_path string not null, pos bigint not null"), rows);
    const canonical = canonicalRows(batch.schema, DELETES, {}, "refuse").apply(batch, 0);
    const [written] = await this.#write(DELETES, UNPARTITIONED, [canonical]);
    return { ...(written as DataFile), content: 1, ...file };
  }

  /** Puts a file as it is. */
  async put(bytes: Uint8Array, rows: number, partition: PartitionTuple = []): Promise<DataFile> {
    const filePath = `/t/data/${this.#files++}.parquet`;
    await this.io.write(filePath, bytes);
    const counts = { recordCount: rows, fileSizeInBytes: bytes.length };
    return { content: 0, filePath, fileFormat: "PARQUET", partition, ...counts };
  }

  /** Adds a snapshot with new files. */
  async commit(data: readonly DataFile[], deletes: readonly DataFile[] = []): Promise<bigint> {
    const sequenceNumber = Number(this.metadata["last-sequence-number"]) + 1;
    const id = BigInt(sequenceNumber);
    if (data.length > 0) await this.#manifest(data, 0, id);
    if (deletes.length > 0) await this.#manifest(deletes, 1, id);
    const manifests = this.#manifests.map((file) =>
      file.addedSnapshotId === id ? { ...file, sequenceNumber, minSequenceNumber: sequenceNumber } : file,
    );
    this.#manifests = manifests;
    const list = `/t/metadata/snap-${id}.avro`;
    const parentSnapshotId = this.metadata["current-snapshot-id"];
    await this.io.write(
      list,
      encodeManifestList(manifests, { snapshotId: id, parentSnapshotId, sequenceNumber }),
    );
    this.apply([
      {
        action: "add-snapshot",
        snapshot: {
          "snapshot-id": id,
          ...(parentSnapshotId === undefined ? {} : { "parent-snapshot-id": parentSnapshotId }),
          "sequence-number": sequenceNumber,
          "timestamp-ms": sequenceNumber,
          "manifest-list": list,
          summary: { operation: "append" },
          "schema-id": this.metadata["current-schema-id"],
        },
      },
      { action: "set-snapshot-ref", "ref-name": "main", type: "branch", "snapshot-id": id },
    ]);
    return id;
  }

  async #manifest(files: readonly DataFile[], content: 0 | 1, id: bigint): Promise<void> {
    const schema = currentSchema(this.metadata);
    const partition = partitionTypes(this.spec, schema);
    const entries = files.map((dataFile) => ({ status: 1 as const, snapshotId: id, dataFile }));
    const bytes = encodeManifest(entries, { schema, spec: this.spec, partition, content });
    const manifestPath = `/t/metadata/${id}-m${content}.avro`;
    await this.io.write(manifestPath, bytes);
    this.#manifests.push({
      manifestPath,
      manifestLength: bytes.length,
      partitionSpecId: 0,
      content,
      sequenceNumber: 0,
      minSequenceNumber: 0,
      addedSnapshotId: id,
      addedFilesCount: files.length,
      existingFilesCount: 0,
      deletedFilesCount: 0,
      addedRowsCount: files.reduce((sum, { recordCount }) => sum + recordCount, 0),
      existingRowsCount: 0,
      deletedRowsCount: 0,
    });
  }

  apply(updates: Parameters<typeof applyCommit>[2]["updates"]): void {
    const result = applyCommit(
      this.metadata,
      "/t/metadata/v.metadata.json",
      { requirements: [], updates },
      1,
    );
    if ("conflict" in result) throw new Error(result.conflict);
    this.metadata = result.metadata;
  }

  /** Changes the columns, as another engine does. */
  alter(change: (fields: readonly NestedField[]) => readonly NestedField[]): void {
    const schema = currentSchema(this.metadata);
    this.apply([
      { action: "add-schema", schema: { ...schema, fields: change(schema.fields) } },
      { action: "set-current-schema", "schema-id": -1 },
    ]);
  }

  async rows(options: ReadSnapshotOptions = {}): Promise<Record<string, unknown>[]> {
    const rows: Record<string, unknown>[] = [];
    for await (const batch of readSnapshot(this.io, this.metadata, options)) rows.push(...rowsOf(batch));
    return rows;
  }
}
