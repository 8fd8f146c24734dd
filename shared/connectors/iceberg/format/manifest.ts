import { isPlainObject } from "../../../contract/json.ts";
import { JsonFault } from "../../kit/json-parser.ts";
import {
  type AvroCodec,
  BIGINT,
  BYTES,
  COUNT,
  INT,
  LONG,
  listOf,
  mapOf,
  oneOf,
  STRING,
} from "./avro/codec.ts";
import { AvroFault } from "./avro/fault.ts";
import { located, readAvroFile, writeAvroFile } from "./avro/file.ts";
import { type PartitionType, partitionCodec, partitionTypesIn } from "./avro/partition.ts";
import { record } from "./avro/record.ts";
import { type AvroRecord, type AvroType, findField } from "./avro/schema.ts";
import { parseJson, stringifyJson } from "./json.ts";
import type { DataFile, IcebergSchema, ManifestEntry, ManifestFile, PartitionSpec } from "./types.ts";

/** What a manifest says about all its entries. */
export interface ManifestKind {
  /** The table's schema when the manifest was written. */
  readonly schema: IcebergSchema;
  readonly spec: PartitionSpec;
  /** The fields of `spec`, in its order. */
  readonly partition: readonly PartitionType[];
  /** 0: data files, 1: delete files. */
  readonly content: 0 | 1;
}

/** Field ids of the parts of an entry that have parts themselves. */
const DATA_FILE_ID = 2;
const PARTITION_ID = 102;

const ADDED = 1;

/**
 * Returns the bytes of a manifest. An entry that is not new must have its snapshot id and sequence
 * number. Error: `MANIFEST_INVALID`.
 */
export function encodeManifest(entries: readonly ManifestEntry[], kind: ManifestKind): Uint8Array {
  const { schema, spec, partition, content } = kind;
  return located(undefined, () => {
    for (const entry of entries) checkWritable(entry, content);
    return writeAvroFile(entryCodec(partition), entries, {
      schema: stringifyJson(schema),
      "schema-id": String(schema["schema-id"]),
      "partition-spec": stringifyJson(spec.fields),
      "partition-spec-id": String(spec["spec-id"]),
      "format-version": "2",
      content: content === 0 ? "data" : "deletes",
    });
  });
}

function checkWritable(entry: ManifestEntry, content: 0 | 1): void {
  checkContent(entry.dataFile, content);
  const isComplete = entry.snapshotId !== undefined && entry.sequenceNumber !== undefined;
  if (entry.status !== ADDED && !isComplete)
    throw new AvroFault(
      "invalid",
      `the file ${entry.dataFile.filePath} is not new, and has no snapshot id or no sequence number`,
    );
}

/**
 * Returns the entries of a manifest. Snapshot ids and sequence numbers that new files inherit from
 * `manifestFile` are filled in. `partition` has the types of the manifest's partition spec; without
 * it they are those in the file, in the order of the spec in the file. Errors: `AVRO_DAMAGED`,
 * `AVRO_NOT_SUPPORTED`, `MANIFEST_INVALID`.
 */
export function decodeManifest(
  bytes: Uint8Array,
  manifestFile: ManifestFile,
  partition?: readonly PartitionType[],
): ManifestEntry[] {
  const { manifestPath } = manifestFile;
  const entries = readAvroFile(bytes, manifestPath, ({ schema, metadata }) =>
    entryCodec(partition ?? partitionOf(schema, metadata.get("partition-spec"))),
  );
  return located(manifestPath, () => entries.map((entry) => inherit(entry, manifestFile)));
}

function inherit(entry: ManifestEntry, manifest: ManifestFile): ManifestEntry {
  const { status, snapshotId = manifest.addedSnapshotId, dataFile } = entry;
  checkContent(dataFile, manifest.content);
  // Manifests of version 1 have no sequence numbers. The list gives them the number 0.
  const inherited = status === ADDED || manifest.sequenceNumber === 0 ? manifest.sequenceNumber : undefined;
  const sequenceNumber = entry.sequenceNumber ?? inherited;
  const fileSequenceNumber = entry.fileSequenceNumber ?? inherited;
  if (sequenceNumber === undefined)
    throw new AvroFault("invalid", `the file ${dataFile.filePath} is not new, and has no sequence number`);
  return {
    status,
    snapshotId,
    sequenceNumber,
    ...(fileSequenceNumber === undefined ? {} : { fileSequenceNumber }),
    dataFile,
  };
}

/** Delete files must not be taken for data files, or the other way round. */
function checkContent({ content, filePath, recordCount, fileSizeInBytes }: DataFile, kind: 0 | 1): void {
  const isRight = kind === 0 ? content === 0 : content === 1 || content === 2;
  if (!isRight)
    throw new AvroFault(
      "invalid",
      `the content of ${filePath} is ${content}, in a manifest of ${kind === 0 ? "data" : "delete"} files`,
    );
  if (recordCount < 0 || fileSizeInBytes < 0)
    throw new AvroFault("invalid", `the file ${filePath} has a negative number of rows or bytes`);
}

/** Returns the partition types that a file has, in the order of the spec in its header. */
function partitionOf(schema: AvroType, specText: string | undefined): readonly PartitionType[] {
  const dataFile = partOf(schema, DATA_FILE_ID, "data_file");
  const partition = dataFile === undefined ? undefined : partOf(dataFile, PARTITION_ID, "partition");
  if (partition === undefined) throw new AvroFault("invalid", "the field partition (102) is missing");
  const types = partitionTypesIn(partition);
  const order = specText === undefined ? [] : fieldIds(specText);
  const position = (id: number) => (order.includes(id) ? order.indexOf(id) : order.length);
  return types.toSorted((a, b) => position(a.id) - position(b.id));
}

function partOf(type: AvroType, id: number, name: string): AvroRecord | undefined {
  if (type.kind !== "record") return undefined;
  const at = findField(type, id, name);
  const found = at === undefined ? undefined : type.fields[at]?.type;
  const branches = found?.kind === "union" ? found.branches : [found];
  return branches.find((branch) => branch?.kind === "record");
}

function fieldIds(specText: string): unknown[] {
  try {
    const fields = parseJson(specText);
    return Array.isArray(fields) ? fields.map((field) => isPlainObject(field) && field["field-id"]) : [];
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
    throw new AvroFault("invalid", `its partition spec is not JSON: ${error.message}`);
  }
}

function entryCodec(partition: readonly PartitionType[]): AvroCodec<ManifestEntry> {
  return record<ManifestEntry>("manifest_entry", [
    { key: "status", id: 0, name: "status", codec: oneOf(0, 1, 2) },
    { key: "snapshotId", id: 1, name: "snapshot_id", codec: BIGINT, optional: true },
    { key: "sequenceNumber", id: 3, name: "sequence_number", codec: LONG, optional: true },
    { key: "fileSequenceNumber", id: 4, name: "file_sequence_number", codec: LONG, optional: true },
    { key: "dataFile", id: DATA_FILE_ID, name: "data_file", codec: dataFileCodec(partition) },
  ]);
}

function dataFileCodec(partition: readonly PartitionType[]): AvroCodec<DataFile> {
  return record<DataFile>("r2", [
    { key: "content", id: 134, name: "content", codec: oneOf(0, 1, 2), missing: 0 },
    { key: "filePath", id: 100, name: "file_path", codec: STRING },
    { key: "fileFormat", id: 101, name: "file_format", codec: UPPER_CASE },
    { key: "partition", id: PARTITION_ID, name: "partition", codec: partitionCodec(partition) },
    { key: "recordCount", id: 103, name: "record_count", codec: COUNT },
    { key: "fileSizeInBytes", id: 104, name: "file_size_in_bytes", codec: COUNT },
    { key: "columnSizes", id: 108, name: "column_sizes", codec: mapOf(117, 118, COUNT), optional: true },
    { key: "valueCounts", id: 109, name: "value_counts", codec: mapOf(119, 120, COUNT), optional: true },
    {
      key: "nullValueCounts",
      id: 110,
      name: "null_value_counts",
      codec: mapOf(121, 122, COUNT),
      optional: true,
    },
    {
      key: "nanValueCounts",
      id: 137,
      name: "nan_value_counts",
      codec: mapOf(138, 139, COUNT),
      optional: true,
    },
    { key: "lowerBounds", id: 125, name: "lower_bounds", codec: mapOf(126, 127, BYTES), optional: true },
    { key: "upperBounds", id: 128, name: "upper_bounds", codec: mapOf(129, 130, BYTES), optional: true },
    { key: "keyMetadata", id: 131, name: "key_metadata", codec: BYTES, optional: true },
    { key: "splitOffsets", id: 132, name: "split_offsets", codec: listOf(COUNT, 133), optional: true },
    { key: "equalityIds", id: 135, name: "equality_ids", codec: listOf(INT, 136), optional: true },
    { key: "sortOrderId", id: 140, name: "sort_order_id", codec: INT, optional: true },
    { key: "referencedDataFile", id: 143, name: "referenced_data_file", codec: STRING, optional: true },
  ]);
}

/** Names of file formats. Some writers use small letters. */
const UPPER_CASE: AvroCodec<string> = {
  ...STRING,
  reader: (type) => {
    const read = STRING.reader(type);
    return (input) => read(input).toUpperCase();
  },
};
