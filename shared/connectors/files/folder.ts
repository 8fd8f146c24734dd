import type { ObjectInfo, ObjectStore } from "../../contract/object-store.ts";
import type { ReadLimit } from "../../contract/read-limit.ts";
import { groupsOf } from "../kit/slices.ts";
import { matchesGlob } from "./node.ts";
import type { ParsedOptions } from "./options.ts";

/** A file in the version that was planned. */
export type PlannedFile = { readonly key: string; readonly bytes: number; readonly etag: string };
/** The files that one task reads. */
export type FileGroup = { readonly files: readonly PlannedFile[] };

/** Lists the source's files whose keys come after `startAfter`, in byte order of the keys. */
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
 * Returns true for a key that Spark ignores too: a name that begins with `.` or `_`. Other programs
 * use these names for metadata and for files that they are still writing. Also returns true for the
 * empty objects that the S3 console creates as folders.
 */
function isHidden(key: string): boolean {
  return key.endsWith("/") || key.split("/").some((part) => part.startsWith(".") || part.startsWith("_"));
}

/** Sorts files by modification time, then by key. */
export function byTime(a: ObjectInfo, b: ObjectInfo): number {
  return a.modifiedAt - b.modifiedAt || (a.key < b.key ? -1 : 1);
}

/** Collects files until the limits of a batch are reached. The first file always fits. */
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

  /** Returns false if the file exceeds a limit and was not added. */
  tryAdd(file: ObjectInfo): boolean {
    if (this.files.length > 0) {
      if (this.files.length >= this.#maxFiles || this.#bytes + file.bytes > this.#maxBytes) return false;
    }
    this.#bytes += file.bytes;
    this.files.push(file);
    return true;
  }
}

/** Groups files into partitions without changing their order. */
export function partitionsOf(files: readonly ObjectInfo[], options: ParsedOptions): FileGroup[] {
  const { maxFilesPerPartition: maxFiles, maxBytesPerPartition: maxBytes } = options;
  const planned = files.map(({ key, bytes, etag }): PlannedFile => ({ key, bytes, etag }));
  return groupsOf(planned, { maxBytes, maxFiles }).map((group) => ({ files: group }));
}
