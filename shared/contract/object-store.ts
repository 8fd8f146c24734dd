/** A stored object, as `list` returns it. */
export interface ObjectInfo {
  /** Key relative to the store, with `/` between its parts. */
  readonly key: string;
  /** Size of the object. */
  readonly bytes: number;
  /** When the object was last modified, in epoch milliseconds. */
  readonly modifiedAt: number;
  /** Identifies the content: it changes when the object is replaced by other bytes. */
  readonly etag: string;
}

/** An entry of a store's place that is no object of the store, so `list` cannot return it. */
export interface UnlistedEntry {
  /** Name relative to the store, as far as it can be written. Empty for the place itself. */
  readonly key: string;
  /** The problem, such as `is a symbolic link`. */
  readonly problem: string;
  /** True if it is a folder, or may be one. */
  readonly isFolder: boolean;
}

/** Options of `ObjectStore.list`. */
export interface ListOptions {
  /** Only keys that sort after this one are listed. */
  readonly startAfter?: string;
  /**
   * Receives the entries that cannot be listed. Without it they are left out; a folder without
   * rights is then an error. A store that can list all that it has never calls it.
   */
  readonly onUnlisted?: (entry: UnlistedEntry) => void;
}

/**
 * An upload that was started and not completed. A crash can leave one behind; readers never see it.
 */
export interface UnfinishedUpload {
  /** The key that the completed object would have. */
  readonly key: string;
  /** Id of the upload, because one key can have several uploads. */
  readonly uploadId: string;
  /** When the upload started, in epoch milliseconds. */
  readonly startedAt: number;
}

/** Credentials for one place, which a catalog vends instead of those of the process. */
export interface StoreAccess {
  /** The id of the access key. */
  readonly accessKeyId: string;
  /** The secret of the access key. */
  readonly secretAccessKey: string;
  /** The token of temporary credentials. */
  readonly sessionToken?: string;
  /** The region of the bucket. Default: that of the process. */
  readonly region?: string;
  /** The URL of the service. Default: that of AWS. */
  readonly endpoint?: string;
  /** True if the bucket's name belongs to the path of a URL, and not to its host. */
  readonly pathStyle?: boolean;
  /** When the credentials end, in epoch milliseconds. */
  readonly expiresAt?: number;
  /**
   * Returns credentials for the same place that end later. Without it they are used as they are.
   */
  readonly refresh?: () => Promise<StoreAccess>;
}

/**
 * The port for object storage, with the semantics of S3: an object appears completely or not at
 * all, is durable when `put` resolves, and is never overwritten. A failure throws a MillraceError
 * with the code `STORE_FAILED`.
 */
export interface ObjectStore {
  /** Location of the store for messages: a folder or an `s3://` URL. */
  readonly location: string;
  /**
   * Stores an object if its key does not exist yet. Returns false if the key exists; the existing
   * object is not changed. If `put` throws, the object may or may not have been stored.
   */
  put(key: string, body: Uint8Array | AsyncIterable<Uint8Array>): Promise<boolean>;
  /** Returns the whole object, or `undefined` if it does not exist. */
  get(key: string): Promise<Uint8Array | undefined>;
  /**
   * Returns bytes `start` (inclusive) to `end` (exclusive), or fewer if the object ends earlier.
   * Returns `undefined` if the object does not exist, or if its etag is not `etag` any more.
   */
  getRange(key: string, start: number, end: number, etag?: string): Promise<Uint8Array | undefined>;
  /**
   * Lists the objects whose key begins with `prefix` and sorts after `startAfter`, ordered by the
   * UTF-8 bytes of the keys.
   */
  list(prefix: string, options?: ListOptions): AsyncIterable<ObjectInfo>;
  /**
   * Returns what `list` tells of the objects with these keys. Keys that do not exist are left out.
   * It is one request for up to a thousand keys that lie close together.
   */
  stat(keys: readonly string[]): Promise<ReadonlyMap<string, ObjectInfo>>;
  /** Deletes objects. Keys that do not exist are ignored. */
  delete(keys: readonly string[]): Promise<void>;
  /**
   * Lists uploads of keys that begin with `prefix` and were not completed. The process that started
   * one may still be running.
   */
  listUnfinished(prefix: string): AsyncIterable<UnfinishedUpload>;
  /**
   * Deletes the data of an incomplete upload. Does nothing if the upload has ended in the meantime.
   */
  abandon(upload: UnfinishedUpload): Promise<void>;
  /**
   * Throws `STORE_FAILED` if nothing can be stored here, as far as that is known without storing
   * something. Absent if it is not known.
   */
  checkWritable?(): Promise<void>;
  /** Returns a view of this store in which all keys are relative to `folder`. */
  at(folder: string): ObjectStore;
}
