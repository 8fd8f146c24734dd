/** One stored object, as a listing tells it. */
export interface ObjectInfo {
  /** `/`-separated, relative to the store. */
  readonly key: string;
  /** Its size. */
  readonly bytes: number;
  /** Epoch milliseconds. */
  readonly modifiedAt: number;
  /** Another one once somebody has put other bytes in its place. */
  readonly etag: string;
}

/** An upload that was begun and not ended: a crash leaves it, no reader sees it. */
export interface UnfinishedUpload {
  /** The key that the object would have got. */
  readonly key: string;
  /** Tells uploads of one key apart. */
  readonly uploadId: string;
  /** Epoch milliseconds. */
  readonly startedAt: number;
}

/**
 * The port for objects, with the semantics of S3: an object appears whole or not at all, is durable
 * when `put` resolves, and is never overwritten. Failures are a MillraceError with the code
 * `STORE_FAILED`.
 */
export interface ObjectStore {
  /** Where the store is, for messages: a folder or an `s3://` URL. */
  readonly location: string;
  /**
   * Puts an object only if its key is absent. False if the key was taken: nothing changed, and
   * the caller reads what is there. After an error the object may or may not be there.
   */
  put(key: string, body: Uint8Array | AsyncIterable<Uint8Array>): Promise<boolean>;
  /** The whole object, or `undefined` if there is none. */
  get(key: string): Promise<Uint8Array | undefined>;
  /**
   * Bytes `start` to `end` (exclusive) of an object, fewer at its end, or `undefined` if there
   * is no such object, or, with `etag`, if it is no longer the one that was listed.
   */
  getRange(key: string, start: number, end: number, etag?: string): Promise<Uint8Array | undefined>;
  /**
   * Objects whose key begins with `prefix` and comes after `startAfter`, in the order of their
   * keys' UTF-8 bytes.
   */
  list(prefix: string, options?: { readonly startAfter?: string }): AsyncIterable<ObjectInfo>;
  /** Deletes objects; keys that are absent are fine. */
  delete(keys: readonly string[]): Promise<void>;
  /**
   * Uploads of keys that begin with `prefix` that were begun and not ended, by a live process or a
   * dead one.
   */
  listUnfinished(prefix: string): AsyncIterable<UnfinishedUpload>;
  /** Removes what an unfinished upload left; one that has ended since is fine. */
  abandon(upload: UnfinishedUpload): Promise<void>;
  /** The part of this store below a folder. */
  at(folder: string): ObjectStore;
}
