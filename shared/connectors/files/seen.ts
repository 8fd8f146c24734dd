import { MillraceError } from "../../contract/errors.ts";
import { padded } from "../../contract/keys.ts";
import type { ObjectInfo, ObjectStore } from "../../contract/object-store.ts";
import { sha256 } from "../kit/sha256.ts";

/**
 * Identifies a version of a file in 12 bytes: 8 from the hash of its name, 4 from the hash of its
 * etag.
 */
export interface Fingerprint {
  readonly name: bigint;
  readonly version: number;
}

/**
 * A stored record: the files that a batch read, and the files of the earlier records merged into
 * it.
 */
interface SeenRecord {
  readonly id: string;
  /** The id of the record with the files that were read before. */
  readonly previous: string | undefined;
  readonly writtenAt: number;
  readonly versions: ReadonlyMap<bigint, number>;
}

/** A record with at most this many files is always merged into the next one. */
const SMALL_RECORD_FILES = 1000;
const FINGERPRINT_BYTES = 12;
/**
 * A deleted file is remembered for at least this long, because a folder that is unavailable for
 * some hours may come back.
 */
const REMEMBERED_MILLISECONDS = 7 * 86_400_000;
/**
 * The number of newest records, one per batch, to which a pipeline can be rewound. Older ones are
 * deleted every `CLEANUP_INTERVAL` batches.
 */
const KEPT_RECORDS = 1000;
const CLEANUP_INTERVAL = 100;

/**
 * Records which files were read up to an offset, in the pipeline's own store. Each offset names a
 * record, which links to the previous one. Records never change; a plan that was not recorded
 * leaves a record that no offset names. The id is computed from the content, so planning the same
 * batch again gives the same offset. Small records are merged into the new one, so that few have to
 * be read.
 */
export class SeenFiles {
  readonly #store: ObjectStore;
  #loaded = new Map<string, SeenRecord>();

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  /**
   * Returns a lookup for the files that were read up to the record `id`. It maps the hash of a
   * file's name to the version that was read, or to `undefined`. Error: `SEEN_FILES_MISSING`.
   */
  async at(id: string | undefined): Promise<(name: bigint) => number | undefined> {
    const nodes = await this.#chain(id);
    return (name) => {
      for (const { versions } of nodes) {
        const version = versions.get(name);
        if (version !== undefined) return version;
      }
      return undefined;
    };
  }

  /**
   * Adds files to those of record `id`, and returns the id of the new record. `listed` has the
   * files that exist now.
   */
  async add(
    id: string | undefined,
    files: readonly Fingerprint[],
    listed: ReadonlyMap<bigint, unknown>,
    now: number,
  ): Promise<string> {
    const older = await this.#chain(id);
    const versions = new Map(files.map(({ name, version }) => [name, version]));
    let taken = 0;
    for (const node of older) {
      if (node.versions.size > Math.max(SMALL_RECORD_FILES, 2 * versions.size)) break;
      const mayForget = now - node.writtenAt >= REMEMBERED_MILLISECONDS;
      for (const [name, version] of node.versions) {
        if (!versions.has(name) && !(mayForget && !listed.has(name))) versions.set(name, version);
      }
      taken++;
    }
    const text = files.map(({ name, version }) => `${name}:${version}`).join();
    const sequence = id === undefined ? 0 : sequenceOf(id) + 1;
    const node: SeenRecord = {
      id: `${padded(sequence, 12)}-${sha256(`${id} ${text}`).toString("hex", 0, 16)}`,
      previous: older[taken]?.id,
      writtenAt: now,
      versions,
    };
    // If the record already exists, it has the same files.
    await this.#store.put(keyOf(node.id), encode(node));
    // Keeps only the records that the next call needs, because a stream may run for a long time.
    this.#loaded = new Map([node, ...older].map((kept) => [kept.id, kept]));
    return node.id;
  }

  /**
   * Deletes records that the last 1,000 do not need. `id` is the record of the last committed
   * offset.
   */
  async deleteOldRecords(id: string): Promise<void> {
    const last = sequenceOf(id);
    if (last % CLEANUP_INTERVAL > 0) return;
    const ids: string[] = [];
    for await (const { key } of this.#store.list(FOLDER)) ids.push(key.slice(FOLDER.length));
    const isOld = (other: string) => sequenceOf(other) <= last - KEPT_RECORDS;
    const first = ids.find((other) => !isOld(other)) ?? id;
    // Of the old records, a later record needs only those that these need too. These are the oldest
    // records that are kept.
    const firsts = ids.filter((other) => sequenceOf(other) === sequenceOf(first));
    const chains = await Promise.all(firsts.map((other) => this.#chain(other))).catch(() => undefined);
    // A record could not be read, so it is unknown which ones are needed. Nothing is deleted: the
    // batch is already committed and must not fail because of this.
    if (chains === undefined) return;
    const needed = new Set(chains.flat().map((node) => node.id));
    await this.#store.delete(ids.filter((other) => isOld(other) && !needed.has(other)).map(keyOf));
  }

  async #chain(id: string | undefined): Promise<SeenRecord[]> {
    const nodes: SeenRecord[] = [];
    for (let at = id; at !== undefined; ) {
      const node = this.#loaded.get(at) ?? (await this.#load(at));
      this.#loaded.set(at, node);
      nodes.push(node);
      at = node.previous;
    }
    return nodes;
  }

  async #load(id: string): Promise<SeenRecord> {
    const bytes = await this.#store.get(keyOf(id));
    if (bytes !== undefined) return decode(id, bytes);
    throw new MillraceError("SEEN_FILES_MISSING", `the record of the files that were read, ${id}, is gone`, {
      where: { path: `${this.#store.location}/${keyOf(id)}` },
      hint: `The last ${KEPT_RECORDS} batches can be rewound to. If somebody deleted it, restore it from a backup.`,
    });
  }
}

/** Returns the fingerprint of a listed file. */
export function fingerprint({ key, etag }: ObjectInfo): Fingerprint {
  return { name: sha256(key).readBigUInt64LE(), version: sha256(etag).readUInt32LE() };
}

const FOLDER = "seen/";

function keyOf(id: string): string {
  return FOLDER + id;
}

function sequenceOf(id: string): number {
  return Number.parseInt(id, 10);
}

/** Encodes a record as a line of JSON followed by the fingerprints. */
function encode({ previous, writtenAt, versions }: SeenRecord): Uint8Array {
  const records = Buffer.alloc(versions.size * FINGERPRINT_BYTES);
  let at = 0;
  for (const [name, version] of versions) {
    records.writeBigUInt64LE(name, at);
    records.writeUInt32LE(version, at + 8);
    at += FINGERPRINT_BYTES;
  }
  return Buffer.concat([Buffer.from(`${JSON.stringify({ previous, writtenAt })}\n`), records]);
}

function decode(id: string, bytes: Uint8Array): SeenRecord {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = buffer.indexOf("\n") + 1;
  const { previous, writtenAt } = JSON.parse(buffer.toString("utf8", 0, start)) as SeenRecord;
  const versions = new Map<bigint, number>();
  for (let at = start; at < buffer.length; at += FINGERPRINT_BYTES) {
    versions.set(buffer.readBigUInt64LE(at), buffer.readUInt32LE(at + 8));
  }
  return { id, previous, writtenAt, versions };
}
