import type { RecordBatch, Schema } from "apache-arrow";
import { filterMatcher } from "../../../arrow/predicates/row-matcher.ts";
import { DataSourceReader } from "../../../contract/batch-reader.ts";
import type { Filter } from "../../../contract/filters.ts";
import type { FileIo } from "../file-io.ts";
import { arrowSchemaOf } from "../format/arrow-schema.ts";
import type { IcebergSchema, IcebergValue, TableMetadata } from "../format/types.ts";
import { fileStatistics } from "./file-statistics.ts";
import type { LiveFile } from "./live-files.ts";
import { type FileToRead, type PlannedFile, planFiles } from "./plan-files.ts";
import { schemaOf, snapshotToRead } from "./read-snapshot.ts";
import { scan, specOf } from "./scan.ts";

/** Files are read in one partition until they have this size together. */
const PARTITION_BYTES = 128 * 1024 * 1024;
const MAX_FILES = 1000;

/** A value of a partition tuple: whole numbers of 64 bits and bytes are text in an object. */
type PartitionJson =
  | null
  | boolean
  | number
  | string
  | { readonly long: string }
  | { readonly bytes: string };

/** A data file in a partition. It has everything that a task needs besides the table's metadata. */
interface FileRecord extends FileToRead {
  readonly specId: number;
  readonly partition: readonly PartitionJson[];
  readonly deletes: readonly FileToRead[];
}

/** Some data files of one snapshot. */
export interface SnapshotSlice {
  readonly snapshotId: string;
  readonly schemaId: number;
  readonly files: readonly FileRecord[];
}

/** Loads a table, each time that a reader needs it. */
export type OpenTable = () => Promise<{ readonly metadata: TableMetadata; readonly io: FileIo }>;

/**
 * Reads all rows of one snapshot: of the newest one when the batch is planned, or of `snapshotId`.
 * Filters leave out files whose partition or bounds show that no row matches.
 */
export class IcebergReader extends DataSourceReader<SnapshotSlice> {
  readonly #schema: Schema;
  readonly #open: OpenTable;
  readonly #snapshotId: bigint | undefined;
  #filters: readonly Filter[] = [];

  constructor(schema: Schema, open: OpenTable, snapshotId?: bigint) {
    super();
    this.#schema = schema;
    this.#open = open;
    this.#snapshotId = snapshotId;
  }

  /** Keeps the filters, to leave out files. All of them are applied to the rows, too. */
  override pushFilters(filters: readonly Filter[]): readonly Filter[] {
    this.#filters = filters;
    return filters;
  }

  override async partitions(): Promise<readonly SnapshotSlice[]> {
    const { metadata, io } = await this.#open();
    const options = this.#snapshotId === undefined ? {} : { snapshotId: this.#snapshotId };
    const { snapshot, schema } = snapshotToRead(metadata, options);
    if (snapshot === undefined) return [];
    const matcher = filterMatcher(arrowSchemaOf(schema), this.#filters);
    const isNeeded = ({ file, specId }: LiveFile) =>
      matcher.coverage(fileStatistics(file, schema, specOf(metadata, specId))) !== "none";
    const files = await planFiles(io, snapshot, isNeeded);
    return grouped(files).map((group) => ({
      snapshotId: String(snapshot["snapshot-id"]),
      schemaId: schema["schema-id"],
      files: group.map(recordOf),
    }));
  }

  override async *read({ snapshotId, schemaId, files }: SnapshotSlice): AsyncGenerator<RecordBatch> {
    const { metadata, io } = await this.#open();
    const schema = schemaOf(metadata, schemaId);
    const planned = files.map((file) => ({ ...file, partition: file.partition.map(fromJson) }));
    const columns = { ...schema, fields: wantedFields(schema, this.#schema) };
    yield* scan({ io, metadata, schema: columns, snapshotId: BigInt(snapshotId) }, planned);
  }
}

/**
 * Returns the fields that the pipeline's schema names. The engine reports those that are missing.
 */
function wantedFields(schema: IcebergSchema, wanted: Schema): IcebergSchema["fields"] {
  const names = new Set(wanted.fields.map(({ name }) => name));
  return schema.fields.filter(({ name }) => names.has(name));
}

function grouped(files: readonly PlannedFile[]): readonly (readonly PlannedFile[])[] {
  const groups: PlannedFile[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const file of files) {
    const last = groups.at(-1);
    if (last === undefined || last.length >= MAX_FILES || bytes + file.bytes > PARTITION_BYTES) {
      groups.push([file]);
      bytes = file.bytes;
    } else {
      last.push(file);
      bytes += file.bytes;
    }
  }
  return groups;
}

function recordOf({ location, bytes, rows, specId, partition, deletes }: PlannedFile): FileRecord {
  return { location, bytes, rows, specId, partition: partition.map(toJson), deletes };
}

function toJson(value: IcebergValue | null): PartitionJson {
  if (typeof value === "bigint") return { long: String(value) };
  return value instanceof Uint8Array ? { bytes: Buffer.from(value).toString("base64") } : value;
}

function fromJson(value: PartitionJson): IcebergValue | null {
  if (typeof value !== "object" || value === null) return value;
  return "long" in value ? BigInt(value.long) : Buffer.from(value.bytes, "base64");
}
