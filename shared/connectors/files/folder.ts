import type { Schema } from "apache-arrow";
import { MillraceError } from "../../contract/errors.ts";
import type { ObjectInfo, ObjectStore, UnlistedEntry } from "../../contract/object-store.ts";
import { optional } from "../../contract/optional.ts";
import type { ReadLimit } from "../../contract/read-limit.ts";
import { groupsOf } from "../kit/slices.ts";
import { checkFolderColumns } from "./folder-columns.ts";
import { isSelected, nameProblem } from "./names.ts";
import type { ParsedOptions } from "./options.ts";

/** A file in the version that was planned. */
export type PlannedFile = { readonly key: string; readonly bytes: number; readonly etag: string };
/** The files that one task reads. */
export type FileGroup = { readonly files: readonly PlannedFile[] };

/** The folder of a source. */
export interface Folder {
  readonly store: ObjectStore;
  readonly options: ParsedOptions;
  /** The columns that the folder names of files must be among. Default: they are not checked. */
  readonly schema?: Schema;
  /**
   * The time, in epoch milliseconds. A file that is a day younger has a wrong time. Default: times
   * are not checked, because a batch reads files of any time.
   */
  readonly now?: number;
  /** Lists only keys that come after this one. */
  readonly startAfter?: string | undefined;
  /** True if files were read before, so that the path is known to be right. */
  readonly isKnown?: boolean;
}

const DAY = 86_400_000;

/**
 * Lists the source's files, in byte order of the keys. Nothing that the source should read is left
 * out in silence. Errors: `FOLDER_MISSING`, `FILE_UNREADABLE`, `FOLDER_COLUMN_INVALID`.
 */
export async function* listFiles(folder: Folder): AsyncGenerator<ObjectInfo> {
  const { store, options, startAfter } = folder;
  const others: UnlistedEntry[] = [];
  const listing = {
    onUnlisted: (entry: UnlistedEntry) => others.push(entry),
    ...optional("startAfter", startAfter),
  };
  let isEmpty = true;
  for await (const file of store.list("", listing)) {
    isEmpty = false;
    checkOthers(others, folder);
    if (isSelected(file.key, options) && isReadable(file, folder)) yield file;
  }
  checkOthers(others, folder);
  // S3 has no folders: a prefix exists if an object has it.
  if (isEmpty && startAfter === undefined && folder.isKnown !== true && store.location.startsWith("s3:"))
    checkMissingPath("no object has this prefix", folder);
}

function checkOthers(others: readonly UnlistedEntry[], folder: Folder): void {
  for (const { key, problem, isFolder } of others) {
    if (key === "") checkMissingPath(problem, folder);
    // Files in the folder may be selected, even if the pattern does not fit the folder itself.
    else if (isFolder ? isSelected(key, {}) : isSelected(key, folder.options)) refuse(key, problem, folder);
  }
}

function checkMissingPath(problem: string, { store: { location }, options }: Folder): void {
  if (options.ignoreMissingPath) return;
  const isLocal = !location.startsWith("s3:");
  throw new MillraceError("FOLDER_MISSING", `${location} cannot be listed: ${problem}`, {
    where: { path: location },
    hint: `Correct \`path\`, or mount the drive. If files will come later${isLocal ? `, make the folder, \`mkdir -p '${location}'\`, or` : ","} set \`ignoreMissingPath: true\`.`,
  });
}

/** Returns false for a file that `ignoreUnreadable` leaves out. */
function isReadable(file: ObjectInfo, folder: Folder): boolean {
  const { options, schema, now } = folder;
  const problem = nameProblem(file.key, options);
  if (problem !== undefined) return refuse(file.key, problem, folder);
  if (now !== undefined && file.modifiedAt > now + DAY) {
    const time = new Date(file.modifiedAt).toISOString();
    const path = `${folder.store.location}/${file.key}`;
    return refuse(
      file.key,
      `was last modified in the future (${time})`,
      folder,
      `Correct its time, \`touch '${path}'\`.`,
    );
  }
  if (schema !== undefined) checkFolderColumns(file.key, schema, options);
  return true;
}

function refuse(
  key: string,
  problem: string,
  { store: { location }, options }: Folder,
  remedy = "Rename it, replace it or take it away.",
): false {
  if (options.ignoreUnreadable) return false;
  throw new MillraceError("FILE_UNREADABLE", `${JSON.stringify(key)} ${problem}`, {
    where: { path: `${location}/${key}` },
    hint: `${remedy} Or exclude it by \`pattern\`, or set \`ignoreUnreadable: true\` to leave out all that cannot be read.`,
  });
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
