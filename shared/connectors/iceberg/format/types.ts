/**
 * The types of Iceberg's table specification (format version 2), with the names of its JSON form.
 * Objects from a file may have further keys, which are kept when the metadata is written again.
 * Numbers of 64 bits are `number` if they are safe integers, and `bigint` otherwise; `Long` says
 * so. Snapshot ids are always `bigint`.
 */

/** A whole number of 64 bits: a `bigint` only if it is beyond 2^53. */
export type Long = number | bigint;

/**
 * `boolean`, `int`, `long`, `float`, `double`, `date`, `time`, `timestamp`, `timestamptz`,
 * `string`, `uuid`, `binary`, `fixed[L]` or `decimal(P, S)`.
 */
export type PrimitiveType = string;

export type IcebergType = PrimitiveType | StructType | ListType | MapType;

export interface NestedField {
  readonly id: number;
  readonly name: string;
  readonly required: boolean;
  readonly type: IcebergType;
  readonly doc?: string;
}

export interface StructType {
  readonly type: "struct";
  readonly fields: readonly NestedField[];
}

export interface ListType {
  readonly type: "list";
  readonly "element-id": number;
  readonly element: IcebergType;
  readonly "element-required": boolean;
}

export interface MapType {
  readonly type: "map";
  readonly "key-id": number;
  readonly key: IcebergType;
  readonly "value-id": number;
  readonly value: IcebergType;
  readonly "value-required": boolean;
}

/** The columns of a table at one time. */
export interface IcebergSchema extends StructType {
  readonly "schema-id": number;
  readonly "identifier-field-ids"?: readonly number[];
}

/** A transform of a column by whose values rows are divided into files. */
export interface PartitionField {
  readonly "source-id": number;
  /** 1000 or greater. */
  readonly "field-id": number;
  readonly name: string;
  /** `identity`, `bucket[N]`, `truncate[W]`, `year`, `month`, `day`, `hour` or `void`. */
  readonly transform: string;
}

export interface PartitionSpec {
  readonly "spec-id": number;
  readonly fields: readonly PartitionField[];
}

export interface Snapshot {
  readonly "snapshot-id": bigint;
  readonly "parent-snapshot-id"?: bigint;
  readonly "sequence-number": Long;
  readonly "timestamp-ms": number;
  readonly "manifest-list": string;
  /** `operation` is `append`, `replace`, `overwrite` or `delete`. All values are text. */
  readonly summary: Readonly<Record<string, string>>;
  readonly "schema-id"?: number;
}

export interface SnapshotRef {
  readonly "snapshot-id": bigint;
  readonly type: "branch" | "tag";
  readonly "min-snapshots-to-keep"?: number;
  readonly "max-snapshot-age-ms"?: number;
  readonly "max-ref-age-ms"?: number;
}

/** What a metadata file says. */
export interface TableMetadata {
  readonly "format-version": number;
  readonly "table-uuid": string;
  readonly location: string;
  readonly "last-sequence-number": Long;
  readonly "last-updated-ms": number;
  readonly "last-column-id": number;
  readonly schemas: readonly IcebergSchema[];
  readonly "current-schema-id": number;
  readonly "partition-specs": readonly PartitionSpec[];
  readonly "default-spec-id": number;
  readonly "last-partition-id": number;
  readonly "sort-orders": readonly { readonly "order-id": number; readonly fields: readonly unknown[] }[];
  readonly "default-sort-order-id": number;
  readonly properties: Readonly<Record<string, string>>;
  /** Absent if the table has no snapshot. (In files it may also be -1 or null.) */
  readonly "current-snapshot-id"?: bigint;
  readonly snapshots: readonly Snapshot[];
  readonly "snapshot-log": readonly { readonly "snapshot-id": bigint; readonly "timestamp-ms": number }[];
  readonly "metadata-log": readonly { readonly "metadata-file": string; readonly "timestamp-ms": number }[];
  readonly refs: Readonly<Record<string, SnapshotRef>>;
}

/** What must be true of the table when a commit is applied. */
export type TableRequirement =
  | { readonly type: "assert-create" }
  | { readonly type: "assert-table-uuid"; readonly uuid: string }
  | { readonly type: "assert-ref-snapshot-id"; readonly ref: string; readonly "snapshot-id": bigint | null }
  | { readonly type: "assert-last-assigned-field-id"; readonly "last-assigned-field-id": number }
  | { readonly type: "assert-current-schema-id"; readonly "current-schema-id": number }
  | { readonly type: "assert-default-spec-id"; readonly "default-spec-id": number };

/** A change of a table. A commit applies all its changes in order, or none. */
export type TableUpdate =
  | { readonly action: "add-schema"; readonly schema: IcebergSchema; readonly "last-column-id"?: number }
  | { readonly action: "set-current-schema"; readonly "schema-id": number }
  | { readonly action: "add-snapshot"; readonly snapshot: Snapshot }
  | ({ readonly action: "set-snapshot-ref"; readonly "ref-name": string } & SnapshotRef)
  | { readonly action: "remove-snapshot-ref"; readonly "ref-name": string }
  | { readonly action: "remove-snapshots"; readonly "snapshot-ids": readonly bigint[] }
  | { readonly action: "set-properties"; readonly updates: Readonly<Record<string, string>> }
  | { readonly action: "remove-properties"; readonly removals: readonly string[] };

/**
 * A value of a primitive type. `int` and `date` (days) are numbers; `long`, `time` and timestamps
 * (microseconds) are bigints; `decimal` is the unscaled bigint; `uuid`, `fixed` and `binary` are
 * bytes.
 */
export type IcebergValue = boolean | number | bigint | string | Uint8Array;

/** The partition of a file: a value, or `null`, for each field of its partition spec, in order. */
export type PartitionTuple = readonly (IcebergValue | null)[];

/** What a manifest says about a file. The maps are keyed by field id. */
export interface DataFile {
  /** 0: data, 1: position deletes, 2: equality deletes. */
  readonly content: number;
  readonly filePath: string;
  /** `PARQUET`, `AVRO` or `ORC`. */
  readonly fileFormat: string;
  readonly partition: PartitionTuple;
  readonly recordCount: number;
  readonly fileSizeInBytes: number;
  readonly columnSizes?: ReadonlyMap<number, number>;
  readonly valueCounts?: ReadonlyMap<number, number>;
  readonly nullValueCounts?: ReadonlyMap<number, number>;
  readonly nanValueCounts?: ReadonlyMap<number, number>;
  /** Single-value serialization, as are the upper bounds. */
  readonly lowerBounds?: ReadonlyMap<number, Uint8Array>;
  readonly upperBounds?: ReadonlyMap<number, Uint8Array>;
  readonly keyMetadata?: Uint8Array;
  readonly splitOffsets?: readonly number[];
  readonly equalityIds?: readonly number[];
  readonly sortOrderId?: number;
  /** Of a position delete file: the only data file that it names, if it names one. */
  readonly referencedDataFile?: string;
}

/** An entry of a manifest. */
export interface ManifestEntry {
  /** 0: existing, 1: added, 2: deleted. */
  readonly status: 0 | 1 | 2;
  /** Absent: that of the manifest. Always present in entries that `decodeManifest` returns. */
  readonly snapshotId?: bigint;
  /** Absent: that of the manifest, for added files. */
  readonly sequenceNumber?: Long;
  readonly fileSequenceNumber?: Long;
  readonly dataFile: DataFile;
}

/** Bounds of a partition field over the files of a manifest. */
export interface PartitionFieldSummary {
  readonly containsNull: boolean;
  readonly containsNan?: boolean;
  readonly lowerBound?: Uint8Array;
  readonly upperBound?: Uint8Array;
}

/** An entry of a manifest list. */
export interface ManifestFile {
  readonly manifestPath: string;
  readonly manifestLength: number;
  readonly partitionSpecId: number;
  /** 0: data files, 1: delete files. */
  readonly content: 0 | 1;
  readonly sequenceNumber: Long;
  readonly minSequenceNumber: Long;
  readonly addedSnapshotId: bigint;
  readonly addedFilesCount: number;
  readonly existingFilesCount: number;
  readonly deletedFilesCount: number;
  readonly addedRowsCount: number;
  readonly existingRowsCount: number;
  readonly deletedRowsCount: number;
  /** Absent means unknown. A wrong or half-filled summary makes readers skip files. */
  readonly partitions?: readonly PartitionFieldSummary[];
  readonly keyMetadata?: Uint8Array;
}
