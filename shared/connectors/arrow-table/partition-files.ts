import type { RecordBatch, Schema } from "apache-arrow";
import { rowsOf } from "../../arrow/rows.ts";
import { selectColumns } from "../../arrow/select.ts";
import { takeRows } from "../../arrow/take.ts";
import { MillraceError } from "../../contract/errors.ts";
import { padded } from "../../contract/keys.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import { atOnce } from "../kit/at-once.ts";
import { putRows } from "../kit/staging.ts";
import type { LogFile } from "./log-entry.ts";
import { type PartitionValues, partitionFolder, partitionKey } from "./partitioning.ts";

/**
 * A task holds so many bytes of rows before it writes them, one file for each partition that occurs
 * in them. So its memory is bounded, however many partitions there are.
 */
const CHUNK_BYTES = 64 * 1024 * 1024;
/** Maximum number of files of one task. */
const MAX_FILES = 10_000;
/** Number of files that are written at once. */
const FILES_AT_ONCE = 8;

/** How a task writes the files of partitions. */
export interface PartitionLayout {
  readonly schema: Schema;
  readonly partitionBy: readonly string[];
  /** Id of the task attempt, with which the id of each file begins. */
  readonly id: string;
  /** Returns the key of a file in the folder of a partition. */
  keyOf(folder: string, fileId: string): string;
  /** The size at which a file is closed. */
  readonly fileBytes?: number | undefined;
  readonly chunkBytes?: number | undefined;
  readonly maxFiles?: number | undefined;
}

/**
 * Writes rows as files that have the rows of one partition each. After an error, all files are
 * deleted. Errors: `TABLE_PARTITIONS_TOO_MANY`, `ROW_MISMATCH`, `RECORD_BATCH_TOO_LARGE`.
 */
export async function putPartitions(
  store: ObjectStore,
  layout: PartitionLayout,
  batches: AsyncIterable<RecordBatch>,
): Promise<readonly LogFile[]> {
  const { partitionBy, chunkBytes = CHUNK_BYTES, maxFiles = MAX_FILES } = layout;
  const written: (readonly LogFile[])[] = [];
  try {
    for await (const chunk of chunksOf(batches, chunkBytes)) {
      const parts = partsOf(partitionBy, chunk);
      const from = written.length;
      if (from + parts.length > maxFiles) throw tooMany(partitionBy, maxFiles);
      await atOnce(FILES_AT_ONCE, parts.entries(), async ([i, part]) => {
        written[from + i] = await putPart(store, layout, part, from + i);
      });
    }
    return written.flat();
  } catch (error) {
    // The files are not in any commit message yet, so it is safe to delete them.
    await store.delete(written.flat().map(({ path }) => path)).catch(() => undefined);
    throw error;
  }
}

/** The rows of one partition in a chunk: record batches, and the indexes of rows in them. */
interface Part {
  readonly values: PartitionValues;
  readonly rows: Map<RecordBatch, number[]>;
}

async function putPart(
  store: ObjectStore,
  { schema, partitionBy, id, keyOf, fileBytes }: PartitionLayout,
  { values, rows }: Part,
  index: number,
): Promise<readonly LogFile[]> {
  const folder = partitionFolder(partitionBy, values);
  async function* batches(): AsyncGenerator<RecordBatch> {
    for (const [batch, indexes] of rows)
      yield indexes.length === batch.numRows ? batch : takeRows(batch, indexes);
  }
  const fileId = `${id}-${padded(index, 6)}`;
  const files = await putRows(store, (one) => keyOf(folder, one), fileId, schema, batches(), fileBytes);
  return files.map((file) => ({ ...file, partition: values }));
}

/** Yields record batches in groups of about `maxBytes`. */
async function* chunksOf(
  batches: AsyncIterable<RecordBatch>,
  maxBytes: number,
): AsyncGenerator<readonly RecordBatch[]> {
  let chunk: RecordBatch[] = [];
  let bytes = 0;
  for await (const batch of batches) {
    chunk.push(batch);
    bytes += batch.data.byteLength;
    if (bytes < maxBytes) continue;
    yield chunk;
    chunk = [];
    bytes = 0;
  }
  if (chunk.length > 0) yield chunk;
}

/** Divides the rows of a chunk by the values of the partition columns. */
function partsOf(partitionBy: readonly string[], chunk: readonly RecordBatch[]): readonly Part[] {
  const parts = new Map<string, Part>();
  for (const batch of chunk) {
    let index = 0;
    for (const row of rowsOf(selectColumns(batch, partitionBy))) {
      const values = row as PartitionValues;
      const key = partitionKey(partitionBy, values);
      const part = parts.get(key) ?? { values, rows: new Map<RecordBatch, number[]>() };
      parts.set(key, part);
      const indexes = part.rows.get(batch);
      if (indexes === undefined) part.rows.set(batch, [index]);
      else indexes.push(index);
      index++;
    }
  }
  return [...parts.values()];
}

function tooMany(partitionBy: readonly string[], maxFiles: number): MillraceError {
  return new MillraceError(
    "TABLE_PARTITIONS_TOO_MANY",
    `a task would write more than ${maxFiles} files, because ${partitionBy.join(", ")} has so many values in its rows`,
    {
      hint: "Nothing of the task was kept. Partition by a coarser column, such as a date instead of a time; or let the source yield rows in the order of that column: a task writes a file for each value in 64 MiB of rows.",
    },
  );
}
