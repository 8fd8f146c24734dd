import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { MillraceError } from "../../../../contract/errors.ts";
import type { AvroCodec } from "./codec.ts";
import { type Compression, compress, decompress } from "./compression.ts";
import { AvroFault } from "./fault.ts";
import { AvroInput } from "./input.ts";
import { AvroOutput } from "./output.ts";
import { type AvroType, parseAvroSchema } from "./schema.ts";

const MAGIC = Buffer.from("Obj\u0001", "latin1");
const SYNC_BYTES = 16;
/** A block of the files that we write ends when it has this many bytes. */
const BLOCK_BYTES = 128 * 1024;
/** Manifests have about 8 MiB. These limits stop files that were made to exhaust the memory. */
const MAX_BLOCK_BYTES = 128 * 1024 * 1024;
const MAX_FILE_BYTES = 512 * 1024 * 1024;

/** What the header of a file says. */
export interface AvroHeader {
  readonly schema: AvroType;
  /** Values of keys that are not Avro's own, such as `partition-spec`. */
  readonly metadata: ReadonlyMap<string, string>;
}

/**
 * Reads all rows of an object container file. `codecOf` chooses the codec by the header. `location`
 * is for messages. Errors: `AVRO_DAMAGED`, `AVRO_NOT_SUPPORTED`, `MANIFEST_INVALID`.
 */
export function readAvroFile<T>(
  bytes: Uint8Array,
  location: string,
  codecOf: (header: AvroHeader) => AvroCodec<T>,
): T[] {
  return located(location, () => {
    const input = new AvroInput(bytes, "the file");
    const header = readHeader(input);
    const read = codecOf(header).reader(header.schema);
    const rows: T[] = [];
    let total = 0;
    while (input.remaining > 0) {
      const start = input.position;
      const count = input.count();
      const block = input.bytes();
      if (!header.sync.equals(input.fixed(SYNC_BYTES)))
        throw input.damaged("a block does not end with the sync marker");
      const limit = Math.max(1, Math.min(MAX_BLOCK_BYTES, MAX_FILE_BYTES - total));
      const data = decompress(header.codec, block, limit);
      total += data.length;
      const values = new AvroInput(data, `the data of the block at byte ${start}`);
      values.checkedCount(count, header.schema.least);
      for (let i = 0; i < count; i++) rows.push(read(values));
      if (values.remaining > 0) throw values.damaged(`${values.remaining} bytes follow the last row`);
    }
    return rows;
  });
}

interface FullHeader extends AvroHeader {
  readonly codec: string;
  readonly sync: Buffer;
}

function readHeader(input: AvroInput): FullHeader {
  if (input.remaining < MAGIC.length || !MAGIC.equals(input.fixed(MAGIC.length)))
    throw new AvroFault("damaged", "it does not begin as an Avro file does");
  const metadata = new Map<string, string>();
  input.items(2, () => {
    const key = input.string();
    metadata.set(key, input.string());
  });
  const sync = Buffer.from(input.fixed(SYNC_BYTES));
  const schema = metadata.get("avro.schema");
  if (schema === undefined) throw new AvroFault("damaged", "its header has no schema");
  return { schema: parseAvroSchema(schema), codec: metadata.get("avro.codec") ?? "null", sync, metadata };
}

/**
 * Returns an object container file. The same rows and metadata make the same bytes. Error:
 * `MANIFEST_INVALID`.
 */
export function writeAvroFile<T>(
  codec: AvroCodec<T>,
  rows: Iterable<T>,
  metadata: Readonly<Record<string, string>>,
  compression: Compression = "deflate",
): Uint8Array {
  return located(undefined, () => {
    const blocks = encodeBlocks(codec, rows, compression);
    const output = new AvroOutput();
    output.fixed(MAGIC);
    const entries = Object.entries({
      ...metadata,
      "avro.schema": JSON.stringify(codec.json),
      "avro.codec": compression,
    });
    output.long(entries.length);
    for (const [key, value] of entries) {
      output.string(key);
      output.string(value);
    }
    output.long(0);
    const header = output.take();
    const sync = syncMarker(header, blocks);
    output.fixed(header);
    output.fixed(sync);
    for (const { count, data } of blocks) {
      output.long(count);
      output.bytes(data);
      output.fixed(sync);
    }
    return output.take();
  });
}

interface Block {
  readonly count: number;
  readonly data: Uint8Array;
}

function encodeBlocks<T>(codec: AvroCodec<T>, rows: Iterable<T>, compression: Compression): Block[] {
  const output = new AvroOutput();
  const blocks: Block[] = [];
  let count = 0;
  const close = () => {
    if (count > 0) blocks.push({ count, data: compress(compression, output.take()) });
    count = 0;
  };
  for (const row of rows) {
    codec.write(output, row);
    count++;
    if (output.length >= BLOCK_BYTES) close();
  }
  close();
  return blocks;
}

/** The marker need not be random, but it must not be the same in all files. */
function syncMarker(header: Uint8Array, blocks: readonly Block[]): Uint8Array {
  const hash = createHash("sha256").update(header);
  for (const { data } of blocks) hash.update(data);
  return hash.digest().subarray(0, SYNC_BYTES);
}

const PROBLEMS = {
  damaged: {
    code: "AVRO_DAMAGED",
    hint: "Restore the file from a copy, or go back to a snapshot without it: `millrace table snapshots`, then `millrace table rollback`.",
  },
  unsupported: {
    code: "AVRO_NOT_SUPPORTED",
    hint: "Rewrite the table's manifests with the program that wrote them, such as Spark's `rewrite_manifests`, and then `millrace run`.",
  },
  invalid: {
    code: "MANIFEST_INVALID",
    hint: "Rewrite the table's manifests with Spark's `rewrite_manifests`, or go back to a snapshot without the file: `millrace table rollback`.",
  },
} as const;

/** Makes an `AvroFault` a `MillraceError` that names the file. */
export function located<T>(location: string | undefined, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof AvroFault)) throw error;
    const { code, hint } = PROBLEMS[error.kind];
    const file = location ?? "a manifest that was to be written";
    throw new MillraceError(code, `${file}: ${error.message}`, {
      where: location === undefined ? {} : { path: location },
      hint,
    });
  }
}
