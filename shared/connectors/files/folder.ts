import type { ObjectInfo, ObjectStore } from "../../contract/object-store.ts";
import type { ReadLimit } from "../../contract/read-limit.ts";
import { groupsOf } from "../kit/slices.ts";
import { matchesGlob } from "./node.ts";
import type { ParsedOptions } from "./options.ts";

/** One file as it was when its batch was planned. */
export type PlannedFile = { readonly key: string; readonly bytes: number; readonly etag: string };
/** What one task reads. */
export type FileGroup = { readonly files: readonly PlannedFile[] };

/**
 * The files of the source whose names come after `startAfter`, in the order of their names' bytes.
 */
export async function* listFiles(
  store: ObjectStore,
  { pattern }: ParsedOptions,
  startAfter?: string,
): AsyncGenerator<ObjectInfo> {
  const options = startAfter === undefined ? {} : { startAfter };
  for await (const file of store.list("", options)) {
    if (!isHidden(file.key) && (pattern === undefined || matchesGlob(file.key, pattern))) yield file;
  }
}

/**
 * As in Spark: what others write beside the data, or are still writing. The "folders" that S3's
 * console makes are empty objects.
 */
function isHidden(key: string): boolean {
  return key.endsWith("/") || key.split("/").some((part) => part.startsWith(".") || part.startsWith("_"));
}

/** Oldest first; the name decides if times are equal. */
export function byTime(a: ObjectInfo, b: ObjectInfo): number {
  return a.modifiedAt - b.modifiedAt || (a.key < b.key ? -1 : 1);
}

/** Counts files until a batch is full. At least one file fits. */
export class FileSelection {
  readonly files: ObjectInfo[] = [];
  readonly #maxFiles: number;
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(limit: ReadLimit, { maxBytesPerBatch = Number.POSITIVE_INFINITY }: ParsedOptions) {
    this.#maxFiles = limit.kind === "ReadMaxFiles" ? limit.maxFiles : Number.POSITIVE_INFINITY;
    this.#maxBytes =
      limit.kind === "ReadMaxBytes"
        ? limit.maxBytes
        : limit.kind === "ReadAllAvailable"
          ? Number.POSITIVE_INFINITY
          : maxBytesPerBatch;
  }

  /** False if the file is one too many. */
  take(file: ObjectInfo): boolean {
    if (this.files.length > 0) {
      if (this.files.length >= this.#maxFiles || this.#bytes + file.bytes > this.#maxBytes) return false;
    }
    this.#bytes += file.bytes;
    this.files.push(file);
    return true;
  }
}

/** Files in partitions, in their order. */
export function partitionsOf(files: readonly ObjectInfo[], options: ParsedOptions): FileGroup[] {
  const { maxFilesPerPartition: maxFiles, maxBytesPerPartition: maxBytes } = options;
  const planned = files.map(({ key, bytes, etag }): PlannedFile => ({ key, bytes, etag }));
  return groupsOf(planned, { maxBytes, maxFiles }).map((group) => ({ files: group }));
}
