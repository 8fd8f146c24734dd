import { BIGINT, BOOLEAN, BYTES, COUNT, INT, LONG, listOf, oneOf, STRING } from "./avro/codec.ts";
import { readAvroFile, writeAvroFile } from "./avro/file.ts";
import { record } from "./avro/record.ts";
import type { Long, ManifestFile, PartitionFieldSummary } from "./types.ts";

/** The snapshot of a manifest list. */
export interface ListedSnapshot {
  readonly snapshotId: bigint;
  readonly parentSnapshotId: bigint | undefined;
  readonly sequenceNumber: Long;
}

const SUMMARY = record<PartitionFieldSummary>("r508", [
  { key: "containsNull", id: 509, name: "contains_null", codec: BOOLEAN },
  { key: "containsNan", id: 518, name: "contains_nan", codec: BOOLEAN, optional: true },
  { key: "lowerBound", id: 510, name: "lower_bound", codec: BYTES, optional: true },
  { key: "upperBound", id: 511, name: "upper_bound", codec: BYTES, optional: true },
]);

/**
 * Lists of version 1 have no content and no sequence numbers: all files are data, and the first.
 */
const MANIFEST_FILE = record<ManifestFile>("manifest_file", [
  { key: "manifestPath", id: 500, name: "manifest_path", codec: STRING },
  { key: "manifestLength", id: 501, name: "manifest_length", codec: COUNT },
  { key: "partitionSpecId", id: 502, name: "partition_spec_id", codec: INT },
  { key: "content", id: 517, name: "content", codec: oneOf(0, 1), missing: 0 },
  { key: "sequenceNumber", id: 515, name: "sequence_number", codec: LONG, missing: 0 },
  { key: "minSequenceNumber", id: 516, name: "min_sequence_number", codec: LONG, missing: 0 },
  { key: "addedSnapshotId", id: 503, name: "added_snapshot_id", codec: BIGINT },
  { key: "addedFilesCount", id: 504, name: "added_files_count", codec: INT },
  { key: "existingFilesCount", id: 505, name: "existing_files_count", codec: INT },
  { key: "deletedFilesCount", id: 506, name: "deleted_files_count", codec: INT },
  { key: "addedRowsCount", id: 512, name: "added_rows_count", codec: COUNT },
  { key: "existingRowsCount", id: 513, name: "existing_rows_count", codec: COUNT },
  { key: "deletedRowsCount", id: 514, name: "deleted_rows_count", codec: COUNT },
  { key: "partitions", id: 507, name: "partitions", codec: listOf(SUMMARY, 508), optional: true },
  { key: "keyMetadata", id: 519, name: "key_metadata", codec: BYTES, optional: true },
]);

/** Returns the bytes of the manifest list of a snapshot. Error: `MANIFEST_INVALID`. */
export function encodeManifestList(files: readonly ManifestFile[], snapshot: ListedSnapshot): Uint8Array {
  return writeAvroFile(MANIFEST_FILE, files, {
    "snapshot-id": String(snapshot.snapshotId),
    "parent-snapshot-id": String(snapshot.parentSnapshotId ?? null),
    "sequence-number": String(snapshot.sequenceNumber),
    "format-version": "2",
  });
}

/**
 * Returns the entries of a manifest list. `location` is for messages. Errors: `AVRO_DAMAGED`,
 * `AVRO_NOT_SUPPORTED`, and `MANIFEST_INVALID`, for example if a list of version 1 has no counts.
 */
export function decodeManifestList(bytes: Uint8Array, location = "a manifest list"): ManifestFile[] {
  return readAvroFile(bytes, location, () => MANIFEST_FILE);
}
