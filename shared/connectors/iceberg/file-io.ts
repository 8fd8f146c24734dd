import { MillraceError } from "../../contract/errors.ts";
import type { ObjectInfo, ObjectStore, StoreAccess } from "../../contract/object-store.ts";

/** Opens a store, as a sink's context or a data source's runtime does. */
export type OpenStore = (location: string, access?: StoreAccess) => ObjectStore;

/** A file of a table. */
export interface FileInfo extends Omit<ObjectInfo, "key"> {
  readonly location: string;
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
  readonly #stores = new Map<string, ObjectStore>();

  /** `root` is the location of the table, below which nearly all its files lie. */
  constructor(open: OpenStore, root: string, access?: StoreAccess) {
    this.#open = open;
    this.#root = root.replace(/\/+$/, "");
    this.#access = access;
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
    throw new MillraceError("TABLE_FILE_EXISTS", `the file ${location} exists already`, {
      where: { path: location },
      hint: "Names of new files have a random id, so another program must have made it. The next `millrace run` uses another name.",
    });
  }

  /** Returns the size and age of the files that exist. */
  async stat(locations: readonly string[]): Promise<ReadonlyMap<string, FileInfo>> {
    const found = new Map<string, FileInfo>();
    for (const [store, files] of this.#byStore(locations)) {
      const infos = await store.stat(files.map(({ key }) => key));
      for (const { key, location } of files) {
        const info = infos.get(key);
        if (info !== undefined) found.set(location, { ...info, location });
      }
    }
    return found;
  }

  async delete(locations: readonly string[]): Promise<void> {
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
