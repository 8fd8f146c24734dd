import { randomUUID } from "node:crypto";
import type { Dirent, Stats } from "node:fs";
import {
  access,
  constants,
  type FileHandle,
  link,
  open,
  opendir,
  readFile,
  stat,
  unlink,
} from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { MillraceError } from "../../contract/errors.ts";
import type { ListOptions, ObjectInfo, ObjectStore, UnfinishedUpload } from "../../contract/object-store.ts";
import { checkKey } from "../../engine/ports/keys.ts";
import { adviceFor } from "./advice.ts";
import { fileRights, makeDurableFolder, syncFolder } from "./durable.ts";

/** Number of files that are asked for their size and time in parallel. */
const STATS_AT_ONCE = 64;
/** Number of entries of a folder that are read at once. */
const ENTRIES_AT_ONCE = 1024;

/** Matches the name of a file that is still being written: `<key>.<id>.upload`. */
const UPLOAD = /^(.+)\.([0-9a-f-]{36})\.upload$/;

const SURROGATE = /[\ud800-\udfff]/;

const NOT_UTF8 = "has a name that is not UTF-8";
const NO_RIGHT = "cannot be listed: this user has no right to it";

/**
 * Objects as files in a folder. An object is written to a temporary file, synced, and then linked
 * to its final name, so it appears completely and only if the name is free. File and folder are
 * synced before `put` resolves, so the object survives a power failure.
 */
export class DirectoryStore implements ObjectStore {
  readonly location: string;
  readonly #rights: number | undefined;

  /**
   * The folder is created when the first object is put. `rights` are those of new folders, and
   * without `x` those of new files; without it, the umask decides.
   */
  constructor(root: string, rights?: number) {
    this.location = resolve(root);
    this.#rights = rights;
  }

  at(folder: string): ObjectStore {
    return new DirectoryStore(join(this.location, checkKey(folder)), this.#rights);
  }

  /** Looks at the folder, or at the nearest one above it that is there. */
  async checkWritable(): Promise<void> {
    await this.#guard(this.location, async () => {
      for (let folder = this.location; ; folder = dirname(folder)) {
        const found = await stat(folder).catch((error: unknown) => {
          if (isSystemError(error) && error.code === "ENOENT" && dirname(folder) !== folder) return undefined;
          throw error;
        });
        if (found === undefined) continue;
        if (!found.isDirectory()) await opendir(folder);
        return await access(folder, constants.W_OK | constants.X_OK);
      }
    });
  }

  async put(key: string, body: Uint8Array | AsyncIterable<Uint8Array>): Promise<boolean> {
    const path = this.#path(key);
    return await this.#guard(path, async () => {
      const folder = dirname(path);
      await makeDurableFolder(folder, this.#rights);
      const upload = `${path}.${randomUUID()}.upload`;
      let created: boolean;
      try {
        const file = await open(
          upload,
          "wx",
          this.#rights === undefined ? undefined : fileRights(this.#rights),
        );
        try {
          await writeAll(file, body);
          await file.datasync();
        } finally {
          await file.close();
        }
        created = await linkIfAbsent(upload, path);
      } finally {
        await unlinkIfPresent(upload);
      }
      await syncFolder(folder);
      return created;
    });
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    const path = this.#path(key);
    return await this.#guard(path, () => orUndefined(readFile(path)));
  }

  async getRange(key: string, start: number, end: number, etag?: string): Promise<Uint8Array | undefined> {
    const path = this.#path(key);
    return await this.#guard(path, async () => {
      const file = await orUndefined(open(path, "r"));
      if (file === undefined) return undefined;
      try {
        const { size } = await file.stat();
        const bytes = new Uint8Array(Math.max(0, Math.min(end, size) - start));
        let length = 0;
        while (length < bytes.length) {
          const { bytesRead } = await file.read(bytes, length, bytes.length - length, start + length);
          if (bytesRead === 0) break;
          length += bytesRead;
        }
        // The etag is checked after the read, so that a change during the read is noticed.
        if (etag !== undefined && etagOf(await file.stat()) !== etag) return undefined;
        return bytes.subarray(0, length);
      } finally {
        await file.close();
      }
    });
  }

  async *list(prefix: string, options: ListOptions = {}): AsyncGenerator<ObjectInfo> {
    const { startAfter, onUnlisted = () => undefined } = options;
    const isListed = (key: string) =>
      !UPLOAD.test(key) && (startAfter === undefined || compareBytes(key, startAfter) > 0);
    const keys = (await this.#keys(prefix, options.onUnlisted)).filter(isListed);
    for (let i = 0; i < keys.length; i += STATS_AT_ONCE) {
      const some = keys.slice(i, i + STATS_AT_ONCE);
      const found = await Promise.all(some.map((key) => this.#listed(key)));
      for (const [j, key] of some.entries()) {
        const info = found[j];
        if (typeof info === "object") yield info;
        else if (info !== undefined || isGarbled(key))
          onUnlisted({ key, problem: info ?? NOT_UTF8, isFolder: false });
      }
    }
  }

  async stat(keys: readonly string[]): Promise<ReadonlyMap<string, ObjectInfo>> {
    const found = new Map<string, ObjectInfo>();
    for (let i = 0; i < keys.length; i += STATS_AT_ONCE) {
      const some = keys.slice(i, i + STATS_AT_ONCE);
      for (const info of await Promise.all(some.map((key) => this.#info(key))))
        if (info !== undefined) found.set(info.key, info);
    }
    return found;
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (const key of keys) {
      const path = this.#path(key);
      await this.#guard(path, () => unlinkIfPresent(path));
    }
  }

  async *listUnfinished(prefix: string): AsyncGenerator<UnfinishedUpload> {
    for (const name of await this.#keys(prefix)) {
      const [, key, uploadId] = UPLOAD.exec(name) ?? [];
      if (key === undefined || uploadId === undefined) continue;
      const info = await this.#guard(name, () => orUndefined(stat(this.#path(name))));
      if (info !== undefined) yield { key, uploadId, startedAt: Math.floor(info.birthtimeMs) };
    }
  }

  async abandon(upload: UnfinishedUpload): Promise<void> {
    const path = `${this.#path(upload.key)}.${upload.uploadId}.upload`;
    await this.#guard(path, () => unlinkIfPresent(path));
  }

  /** Returns a file, why it cannot be listed, or `undefined` if it is gone. */
  async #listed(key: string): Promise<ObjectInfo | string | undefined> {
    if (key.includes("\\")) return "has a backslash in its name";
    const info = await this.#guard(key, () => orUndefined(stat(this.#path(key))));
    return info && infoOf(key, info);
  }

  async #info(key: string): Promise<ObjectInfo | undefined> {
    const path = this.#path(key);
    const info = await this.#guard(path, () => orUndefined(stat(path)));
    return info?.isFile() ? infoOf(key, info) : undefined;
  }

  /** Returns all file names that begin with `prefix`, sorted, including unfinished uploads. */
  async #keys(prefix: string, onUnlisted?: ListOptions["onUnlisted"]): Promise<string[]> {
    const root = prefix.slice(0, prefix.lastIndexOf("/") + 1);
    const keys: string[] = [];
    const folders = [root];
    for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
      for await (const entry of this.#entries(folder, root, onUnlisted)) {
        const key = folder + entry.name;
        if (entry.isDirectory()) folders.push(`${key}/`);
        else if (entry.isFile()) keys.push(key);
        else
          onUnlisted?.({
            key,
            problem: `is ${kindOfEntry(entry)}`,
            isFolder: entry.isSymbolicLink() && (await isFolder(join(this.location, key))),
          });
      }
    }
    return sorted(keys.filter((key) => key.startsWith(prefix)));
  }

  /**
   * Yields the entries of a folder. One that cannot be listed is told to `onUnlisted`. They are not
   * read at once, because a million of them would take hundreds of megabytes.
   */
  async *#entries(
    folder: string,
    root: string,
    onUnlisted: ListOptions["onUnlisted"],
  ): AsyncGenerator<Dirent> {
    const path = join(this.location, folder);
    try {
      yield* await opendir(path, { bufferSize: ENTRIES_AT_ONCE });
    } catch (error) {
      const problem = isSystemError(error) ? folderProblem(error.code, folder, root) : undefined;
      if (problem === undefined || (problem === NO_RIGHT && onUnlisted === undefined))
        await this.#guard(path, () => Promise.reject(error));
      else if (problem !== "") onUnlisted?.({ key: folder.slice(0, -1), problem, isFolder: true });
    }
  }

  #path(key: string): string {
    return join(this.location, checkKey(key));
  }

  async #guard<T>(path: string, body: () => Promise<T>): Promise<T> {
    try {
      return await body();
    } catch (error) {
      if (MillraceError.is(error) || !isSystemError(error)) throw error;
      throw new MillraceError("STORE_FAILED", `the store failed: ${error.message}`, {
        where: { path },
        ...adviceFor(error.code),
        cause: error,
      });
    }
  }
}

/**
 * Returns what is wrong with a folder that cannot be listed, the empty text if it was deleted in
 * the meantime, and `undefined` if the error is of another kind.
 */
function folderProblem(code: string, folder: string, root: string): string | undefined {
  if (folder !== root && code === "EACCES") return NO_RIGHT;
  if (code !== "ENOENT" && code !== "ENOTDIR") return undefined;
  if (folder === root) return code === "ENOENT" ? "there is no such folder" : "it is a file, not a folder";
  return isGarbled(folder) ? NOT_UTF8 : "";
}

/** True if Node may have decoded the name with replacement characters, so it names nothing. */
function isGarbled(name: string): boolean {
  return name.includes("\uFFFD");
}

async function isFolder(path: string): Promise<boolean> {
  return await stat(path).then(
    (info) => info.isDirectory(),
    () => false,
  );
}

function kindOfEntry(entry: Dirent): string {
  if (entry.isSymbolicLink()) return "a symbolic link, and these are not followed";
  if (entry.isSocket()) return "a socket, not a file";
  return entry.isFIFO() ? "a named pipe, not a file" : "a device, not a file";
}

function infoOf(key: string, info: Stats): ObjectInfo {
  return { key, bytes: info.size, modifiedAt: Math.floor(info.mtimeMs), etag: etagOf(info) };
}

/** `mtimeMs` includes microseconds, as far as a double can represent them. */
function etagOf({ size, mtimeMs }: Stats): string {
  return `${size}-${mtimeMs}`;
}

/**
 * Compares UTF-8 bytes, like S3. JavaScript's own string order differs for characters beyond
 * U+FFFF.
 */
function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Sorts keys by their UTF-8 bytes. Only surrogates have another order in JavaScript. */
function sorted(keys: string[]): string[] {
  return keys.some((key) => SURROGATE.test(key)) ? keys.sort(compareBytes) : keys.sort();
}

async function writeAll(file: FileHandle, body: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> {
  if (body instanceof Uint8Array) return await file.writeFile(body);
  for await (const chunk of body) await file.appendFile(chunk);
}

async function linkIfAbsent(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (isSystemError(error) && error.code === "EEXIST") return false;
    throw error;
  }
}

async function unlinkIfPresent(path: string): Promise<void> {
  await orUndefined(unlink(path));
}

async function orUndefined<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (isSystemError(error) && (error.code === "ENOENT" || error.code === "ENOTDIR")) return undefined;
    throw error;
  }
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException & { code: string } {
  return error instanceof Error && "code" in error && typeof error.code === "string" && "syscall" in error;
}
