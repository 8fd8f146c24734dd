import { MillraceError } from "../../../contract/errors.ts";
import type { FileIo } from "../file-io.ts";
import type { DataFile, PartitionTuple, Snapshot } from "../format/types.ts";
import { type LiveFile, liveFiles } from "./live-files.ts";

/** A file to read. */
export interface FileToRead {
  readonly location: string;
  readonly bytes: number;
  readonly rows: number;
}

/** A data file with the delete files whose rows it must leave out. */
export interface PlannedFile extends FileToRead {
  readonly specId: number;
  readonly partition: PartitionTuple;
  readonly deletes: readonly FileToRead[];
}

/** Field ids of the columns of a position delete file, which the specification reserves. */
export const DELETE_PATH_ID = 2_147_483_546;
export const DELETE_POSITION_ID = 2_147_483_545;

/**
 * Returns the data files of a snapshot, in the order of their commits, for which `isNeeded` holds,
 * each with its position deletes. Throws `TABLE_NOT_READABLE` for equality deletes, deletion
 * vectors, and files that are not Parquet.
 */
export async function planFiles(
  io: FileIo,
  snapshot: Snapshot,
  isNeeded: (live: LiveFile) => boolean = () => true,
): Promise<readonly PlannedFile[]> {
  const { data, deletes } = await liveFiles(io, snapshot);
  const needed = data.filter(isNeeded).sort(byCommit);
  checkDeletes(needed, deletes);
  const index = new DeleteIndex(deletes.filter(({ file }) => file.content === 1));
  return needed.map((live) => {
    const { file, specId } = live;
    checkFormat(file);
    return {
      ...toRead(file),
      specId,
      partition: file.partition,
      deletes: index.of(live).map((found) => toRead(found.file)),
    };
  });
}

function byCommit({ sequenceNumber: a }: LiveFile, { sequenceNumber: b }: LiveFile): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

function toRead({ filePath, fileSizeInBytes, recordCount }: DataFile): FileToRead {
  return { location: filePath, bytes: fileSizeInBytes, rows: recordCount };
}

/** An equality delete that came before all data files, or only touches others, does not matter. */
function checkDeletes(data: readonly LiveFile[], deletes: readonly LiveFile[]): void {
  for (const { file, sequenceNumber } of deletes) {
    if (file.content === 1) continue;
    if (!data.some((other) => other.sequenceNumber < sequenceNumber)) continue;
    throw new MillraceError(
      "TABLE_NOT_READABLE",
      `the table has equality deletes, such as ${file.filePath}`,
      {
        where: { path: file.filePath },
        hint: "Read the table with Spark, Trino or DuckDB; or have Spark's `rewrite_data_files` with `delete-file-threshold` 1 apply them, then read it here.",
      },
    );
  }
}

function checkFormat({ fileFormat, filePath, content }: DataFile): void {
  if (fileFormat.toUpperCase() === "PARQUET") return;
  const kind = content === 0 ? "data" : "deletes";
  throw new MillraceError("TABLE_NOT_READABLE", `the table has ${kind} in the format ${fileFormat}`, {
    where: { path: filePath },
    hint: "Read the table with Spark or Trino; or have Spark's `rewrite_data_files` write Parquet, then read it here.",
  });
}

/** Finds the position deletes of a data file, as the specification says which apply. */
class DeleteIndex {
  readonly #byPath = new Map<string, LiveFile[]>();
  readonly #byPartition = new Map<string, LiveFile[]>();

  constructor(deletes: readonly LiveFile[]) {
    for (const live of deletes) {
      const path = onlyPath(live.file);
      if (path === undefined) addTo(this.#byPartition, partitionKey(live), live);
      else addTo(this.#byPath, path, live);
    }
  }

  of(data: LiveFile): readonly LiveFile[] {
    const found = [
      ...(this.#byPath.get(data.file.filePath) ?? []),
      ...(this.#byPartition.get(partitionKey(data)) ?? []),
    ].filter(({ sequenceNumber }) => data.sequenceNumber <= sequenceNumber);
    for (const { file } of found) checkFormat(file);
    return found;
  }
}

function addTo(map: Map<string, LiveFile[]>, key: string, live: LiveFile): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [live]);
  else list.push(live);
}

/** Returns the only data file that a delete file names, if it says so or its bounds show it. */
function onlyPath(file: DataFile): string | undefined {
  if (file.referencedDataFile !== undefined) return file.referencedDataFile;
  const [lower, upper] = [file.lowerBounds?.get(DELETE_PATH_ID), file.upperBounds?.get(DELETE_PATH_ID)];
  if (lower === undefined || upper === undefined || Buffer.compare(lower, upper) !== 0) return undefined;
  return Buffer.from(lower).toString();
}

function partitionKey({ specId, file }: LiveFile): string {
  const values = file.partition.map((value) =>
    value instanceof Uint8Array ? `x${Buffer.from(value).toString("hex")}` : `${typeof value} ${value}`,
  );
  return JSON.stringify([specId, ...values]);
}
