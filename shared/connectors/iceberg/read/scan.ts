import type { RecordBatch } from "apache-arrow";
import { RowCollector } from "../../../arrow/row-collector.ts";
import type { Row } from "../../../contract/stream-reader.ts";
import { MalformedFileError } from "../../kit/malformed.ts";
import type { FileIo } from "../file-io.ts";
import { arrowSchemaOf } from "../format/arrow-schema.ts";
import { fieldById } from "../format/schema.ts";
import type { IcebergSchema, PartitionSpec, TableMetadata } from "../format/types.ts";
import { inSchema, rowSchemaOf } from "./canonical-batch.ts";
import { locateError } from "./located-error.ts";
import { nameMappingOf } from "./name-mapping.ts";
import type { PlannedFile } from "./plan-files.ts";
import { PositionDeletes } from "./position-deletes.ts";
import { readFile } from "./read-file.ts";
import { rowValueOf } from "./row-values.ts";
import { withFilesAhead } from "./table-file.ts";

export interface ScanOptions {
  readonly io: FileIo;
  readonly metadata: TableMetadata;
  /** The snapshot, for messages. */
  readonly snapshotId: bigint;
  /** The columns to read, with their field ids. */
  readonly schema: IcebergSchema;
}

/**
 * Reads data files as record batches in the canonical Arrow types of `schema`, without deleted
 * rows. At any time the compressed columns of one row group, a page of each, and one record batch
 * are in memory, and some small files that come next. Errors: `TABLE_FILE_MISSING`,
 * `TABLE_FILE_DAMAGED`, `TABLE_NOT_READABLE`, with the file's location.
 */
export async function* scan(
  options: ScanOptions,
  files: readonly PlannedFile[],
): AsyncGenerator<RecordBatch> {
  const { io, metadata, snapshotId, schema } = options;
  const wanted = arrowSchemaOf(schema);
  // One collector for all files, so that the rows of many small files share a record batch.
  const rows = new RowCollector(rowSchemaOf(wanted), {});
  const deletes = new PositionDeletes(io, snapshotId, files);
  const nameMapping = nameMappingOf(metadata);
  for (const { item, file } of withFilesAhead(io, files)) {
    try {
      const deleted = await deletes.of(item);
      const constants = constantsOf(item, options);
      const chunks = readFile(file, { fields: schema.fields, nameMapping, rows: item.rows, constants });
      for await (const chunk of chunks) {
        for (const row of livingRows(chunk.rows, chunk.first, deleted)) {
          rows.append(row);
          if (rows.isFull) yield inSchema(rows.flush(), wanted);
        }
      }
    } catch (error) {
      throw locateError(error, item.location, snapshotId);
    }
  }
  if (rows.pending > 0) yield inSchema(rows.flush(), wanted);
}

/** Yields the rows of a row group that are not deleted. `deleted` is in ascending order. */
function* livingRows(rows: Iterable<Row>, first: number, deleted: readonly number[]): Generator<Row> {
  let position = first;
  let next = lowerBound(deleted, first);
  for (const row of rows) {
    const isDeleted = deleted[next] === position;
    // Two delete files may name the same row.
    while (deleted[next] === position) next++;
    position++;
    if (!isDeleted) yield row;
  }
}

function lowerBound(sorted: readonly number[], value: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? 0) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Returns the values of columns by which the table is partitioned, by field id. Files that Hive
 * wrote do not contain these columns.
 */
function constantsOf(file: PlannedFile, { metadata, schema }: ScanOptions): ReadonlyMap<number, unknown> {
  const constants = new Map<number, unknown>();
  for (const [i, { transform, "source-id": id }] of specOf(metadata, file.specId).fields.entries()) {
    const value = file.partition[i];
    const type = fieldById(schema, id)?.type;
    if (transform !== "identity" || value === undefined || value === null || typeof type !== "string")
      continue;
    constants.set(id, rowValueOf(type, value));
  }
  return constants;
}

/** Returns a partition spec of the table. Throws `MalformedFileError`. */
export function specOf(metadata: TableMetadata, specId: number): PartitionSpec {
  const found = metadata["partition-specs"].find((spec) => spec["spec-id"] === specId);
  if (found !== undefined) return found;
  throw new MalformedFileError(`it has the partition spec ${specId}, which the table does not have`);
}
