import { MillraceError } from "../../contract/errors.ts";
import { padded } from "../../contract/keys.ts";
import type { ObjectInfo, ObjectStore } from "../../contract/object-store.ts";
import { sha256 } from "../kit/sha256.ts";

/** A file in 12 bytes: 8 of its name's hash, 4 of its version's. */
export interface Fingerprint {
  readonly name: bigint;
  readonly version: number;
}

/** One record of the log: the files that a batch read, and those of the records that it took in. */
interface Node {
  readonly id: string;
  /** The record that goes on with older files. */
  readonly previous: string | undefined;
  readonly writtenAt: number;
  readonly versions: ReadonlyMap<bigint, number>;
}

/** Up to so many files are kept in one record. */
const SMALL = 1000;
const FINGERPRINT_BYTES = 12;
/**
 * A file that is no longer there is forgotten after this time at the earliest: a folder that is
 * away for some hours may come back.
 */
const REMEMBERED_MILLISECONDS = 7 * 86_400_000;
/** So many records, one a batch, can be rewound to; older ones are deleted, from time to time. */
const KEPT = 1000;
const TIDIED_EACH = 100;

/**
 * Which files were read up to an offset, in the pipeline's own store. Records never change, and an
 * offset names the last of its own: a plan that was never recorded, or lost to another run, leaves
 * a record that nobody names. Its name is made of what is in it, so that whoever plans the same
 * batch finds the same offset. Records that are small beside the new one are taken into it, so that
 * there are few to read.
 */
export class SeenFiles {
  readonly #store: ObjectStore;
  #loaded = new Map<string, Node>();

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  /**
   * What was read up to the offset that names `id`: the version of a file, by the hash of its name.
   * Error: `SEEN_FILES_MISSING`.
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
   * Adds files to those that `id` names, and returns the name of the result. `listed` has the files
   * that are there.
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
      if (node.versions.size > Math.max(SMALL, 2 * versions.size)) break;
      const mayForget = now - node.writtenAt >= REMEMBERED_MILLISECONDS;
      for (const [name, version] of node.versions) {
        if (!versions.has(name) && !(mayForget && !listed.has(name))) versions.set(name, version);
      }
      taken++;
    }
    const text = files.map(({ name, version }) => `${name}:${version}`).join();
    const sequence = id === undefined ? 0 : sequenceOf(id) + 1;
    const node: Node = {
      id: `${padded(sequence, 12)}-${sha256(`${id} ${text}`).toString("hex", 0, 16)}`,
      previous: older[taken]?.id,
      writtenAt: now,
      versions,
    };
    // Where it is there already, it has the same files.
    await this.#store.put(keyOf(node.id), encode(node));
    // No more than the next call needs: a stream may run for ever.
    this.#loaded = new Map([node, ...older].map((kept) => [kept.id, kept]));
    return node.id;
  }

  /**
   * Deletes what is needed for none of the last 1,000 records. `id` is the one that the last
   * committed offset names.
   */
  async tidy(id: string): Promise<void> {
    const last = sequenceOf(id);
    if (last % TIDIED_EACH > 0) return;
    const ids: string[] = [];
    for await (const { key } of this.#store.list(FOLDER)) ids.push(key.slice(FOLDER.length));
    const isOld = (other: string) => sequenceOf(other) <= last - KEPT;
    const first = ids.find((other) => !isOld(other)) ?? id;
    // Whatever a later record needs of those before the first one, the first one needs, too.
    const firsts = ids.filter((other) => sequenceOf(other) === sequenceOf(first));
    const chains = await Promise.all(firsts.map((other) => this.#chain(other))).catch(() => undefined);
    // What is needed is not known: nothing is deleted, and no batch that is committed need fail for
    // it.
    if (chains === undefined) return;
    const needed = new Set(chains.flat().map((node) => node.id));
    await this.#store.delete(ids.filter((other) => isOld(other) && !needed.has(other)).map(keyOf));
  }

  async #chain(id: string | undefined): Promise<Node[]> {
    const nodes: Node[] = [];
    for (let at = id; at !== undefined; ) {
      const node = this.#loaded.get(at) ?? (await this.#load(at));
      this.#loaded.set(at, node);
      nodes.push(node);
      at = node.previous;
    }
    return nodes;
  }

  async #load(id: string): Promise<Node> {
    const bytes = await this.#store.get(keyOf(id));
    if (bytes !== undefined) return decode(id, bytes);
    throw new MillraceError("SEEN_FILES_MISSING", `the record of the files that were read, ${id}, is gone`, {
      where: { path: `${this.#store.location}/${keyOf(id)}` },
      hint: `The last ${KEPT} batches can be rewound to. If somebody deleted it, restore it from a backup.`,
    });
  }
}

/** The fingerprint of a file as it is listed. */
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

/** A line of JSON, then the fingerprints. */
function encode({ previous, writtenAt, versions }: Node): Uint8Array {
  const records = Buffer.alloc(versions.size * FINGERPRINT_BYTES);
  let at = 0;
  for (const [name, version] of versions) {
    records.writeBigUInt64LE(name, at);
    records.writeUInt32LE(version, at + 8);
    at += FINGERPRINT_BYTES;
  }
  return Buffer.concat([Buffer.from(`${JSON.stringify({ previous, writtenAt })}\n`), records]);
}

function decode(id: string, bytes: Uint8Array): Node {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = buffer.indexOf("\n") + 1;
  const { previous, writtenAt } = JSON.parse(buffer.toString("utf8", 0, start)) as Node;
  const versions = new Map<bigint, number>();
  for (let at = start; at < buffer.length; at += FINGERPRINT_BYTES) {
    versions.set(buffer.readBigUInt64LE(at), buffer.readUInt32LE(at + 8));
  }
  return { id, previous, writtenAt, versions };
}
