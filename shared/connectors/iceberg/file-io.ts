import { MillraceError } from "../../contract/errors.ts";
import type { ObjectStore, StoreAccess } from "../../contract/object-store.ts";

/** Opens a store, as a sink's context or a data source's runtime does. */
export type OpenStore = (location: string, access?: StoreAccess) => ObjectStore;

const RANGES_AT_ONCE = 16;

/** How the files of a table are reached. */
export interface FileIoOptions {
  /** Credentials that a catalog vends. Default: those of the process. */
  readonly access?: StoreAccess | undefined;
  /** True for a table bucket. Default: whether the location's bucket is named like one. */
  readonly isManaged?: boolean;
}

/**
 * The files of a table by their full locations, as Iceberg's metadata names them: `file:///folder`,
 * `file:/folder`, `/folder` or `s3://bucket/key`, raw and not percent-encoded. Errors:
 * `STORE_FAILED`, `TABLE_FILE_MISSING`, `LOCATION_NOT_SUPPORTED`.
 */
export class FileIo {
  readonly #open: OpenStore;
  readonly #root: string;
  readonly #access: StoreAccess | undefined;
  /** True if the store refuses to list and to delete, because it removes unreferenced files. */
  readonly isManaged: boolean;
  readonly #stores = new Map<string, ObjectStore>();

  /** `root` is the location of the table, below which nearly all its files lie. */
  constructor(
    open: OpenStore,
    root: string,
    { access, isManaged = isInTableBucket(root) }: FileIoOptions = {},
  ) {
    this.#open = open;
    this.#root = root.replace(/\/+$/, "");
    this.#access = access;
    this.isManaged = isManaged;
  }

  async read(location: string): Promise<Uint8Array> {
    const { store, key } = this.#place(location);
    return (await store.get(key)) ?? throwMissing(location);
  }

  /** Returns bytes `start` (inclusive) to `end` (exclusive), or fewer if the file ends earlier. */
  async readRange(location: string, start: number, end: number): Promise<Uint8Array> {
    const { store, key } = this.#place(location);
    return (await store.getRange(key, start, end)) ?? throwMissing(location);
  }

  /** Writes a new file, durably. Error: `TABLE_FILE_EXISTS`. */
  async write(location: string, body: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> {
    const { store, key } = this.#place(location);
    if (await store.put(key, body)) return;
    // A store that repeats a request whose answer was lost finds the file that it has written.
    if (body instanceof Uint8Array && isSame(await store.get(key), body)) return;
    throw new MillraceError("TABLE_FILE_EXISTS", `the file ${location} exists already`, {
      where: { path: location },
      hint: "Names of new files have a random id, so another program must have made it. The next `millrace run` uses another name.",
    });
  }

  /**
   * Returns the size of each file, in bytes. Files that do not exist are left out. `expected` is
   * the size that a file should have; in a table bucket, which does not list, a file of another
   * size counts as one of size -1.
   */
  async sizesOf(
    files: readonly { readonly location: string; readonly expected: number }[],
  ): Promise<ReadonlyMap<string, number>> {
    return this.isManaged ? await this.#sizesByRanges(files) : await this.#sizesByLists(files);
  }

  async #sizesByLists(files: readonly { readonly location: string }[]): Promise<ReadonlyMap<string, number>> {
    const sizes = new Map<string, number>();
    for (const [store, places] of this.#byStore(files.map(({ location }) => location))) {
      const infos = await store.stat(places.map(({ key }) => key));
      for (const { key, location } of places) {
        const bytes = infos.get(key)?.bytes;
        if (bytes !== undefined) sizes.set(location, bytes);
      }
    }
    return sizes;
  }

  async #sizesByRanges(
    files: readonly { readonly location: string; readonly expected: number }[],
  ): Promise<ReadonlyMap<string, number>> {
    const sizes = new Map<string, number>();
    for (let i = 0; i < files.length; i += RANGES_AT_ONCE) {
      const some = files.slice(i, i + RANGES_AT_ONCE);
      await Promise.all(
        some.map(async ({ location, expected }) => {
          const { store, key } = this.#place(location);
          // The last byte, and the one behind it, which must not exist.
          const end = await store.getRange(key, expected - 1, expected + 1);
          if (end !== undefined) sizes.set(location, end.length === 1 ? expected : -1);
        }),
      );
    }
    return sizes;
  }

  /** Deletes files. Does nothing in a table bucket, which removes unreferenced files itself. */
  async delete(locations: readonly string[]): Promise<void> {
    if (this.isManaged) return;
    for (const [store, files] of this.#byStore(locations)) await store.delete(files.map(({ key }) => key));
  }

  /** The store of the table's own folder, for listing. */
  get root(): ObjectStore {
    return this.#storeAt(this.#root);
  }

  /** Returns the location of a key of `root`. */
  locationOf(key: string): string {
    return `${this.#root}/${key}`;
  }

  #byStore(locations: readonly string[]): Map<ObjectStore, { key: string; location: string }[]> {
    const groups = new Map<ObjectStore, { key: string; location: string }[]>();
    for (const location of locations) {
      const { store, key } = this.#place(location);
      const group = groups.get(store);
      if (group === undefined) groups.set(store, [{ key, location }]);
      else group.push({ key, location });
    }
    return groups;
  }

  #place(location: string): { readonly store: ObjectStore; readonly key: string } {
    const inTable = location.startsWith(`${this.#root}/`);
    const slash = inTable ? this.#root.length : location.lastIndexOf("/");
    return { store: this.#storeAt(location.slice(0, slash)), key: location.slice(slash + 1) };
  }

  #storeAt(root: string): ObjectStore {
    const known = this.#stores.get(root);
    if (known !== undefined) return known;
    const store = this.#open(storeLocation(root), this.#access);
    this.#stores.set(root, store);
    return store;
  }
}

/**
 * AWS names the hidden buckets behind the tables of S3 Tables like this. A Glue catalog may have
 * such a table, too.
 */
function isInTableBucket(location: string): boolean {
  return /^s3:\/\/[^/]+--table-s3(?:\/|$)/.test(storeLocation(location));
}

/** Returns a location as `openStore` takes it: `s3a://` as `s3://`, and `file:` URLs as paths. */
export function storeLocation(location: string): string {
  if (location.startsWith("file:")) return location.replace(/^file:\/*/, "/");
  return location.replace(/^s3[an]:\/\//, "s3://");
}

function throwMissing(location: string): never {
  throw new MillraceError("TABLE_FILE_MISSING", `the file ${location} of the table is gone`, {
    where: { path: location },
    hint: "Another program removed it. Roll the table back to a snapshot without the file: `millrace table snapshots`, then `millrace table rollback`.",
  });
}

function isSame(found: Uint8Array | undefined, body: Uint8Array): boolean {
  return found?.length === body.length && found.every((byte, at) => byte === body[at]);
}
