import { quoted } from "../column-names.ts";
import { MalformedFileError } from "../malformed.ts";
import { crc32 } from "../zlib.ts";
import { decompress } from "./codecs.ts";
import type { ColumnChunk } from "./footer.ts";
import { entriesOf, nameOf, occurrences, readLevels } from "./levels.ts";
import { readPlain, type Values } from "./plain.ts";
import { readRuns } from "./rle.ts";
import { ThriftReader, type ThriftStruct } from "./thrift.ts";
import type { Leaf } from "./tree.ts";
import { NotSupportedError, notSupported } from "./unsupported.ts";
import { decodeValues } from "./values.ts";

/** The values of one data page. */
export interface Page {
  /** Number of entries: values, nulls and empty lists. */
  readonly length: number;
  /** Definition level of each entry, `undefined` if all entries are values. */
  readonly definitions: Uint8Array | undefined;
  /** Repetition level of each entry, `undefined` if the column is in no list. */
  readonly repetitions: Uint8Array | undefined;
  /** The values, or their indexes in the dictionary. */
  readonly values: Values;
  readonly isDictionary: boolean;
}

const DATA_PAGE = 0;
const INDEX_PAGE = 1;
const DICTIONARY_PAGE = 2;
const DATA_PAGE_V2 = 3;

interface Levels {
  readonly definitions: Uint8Array | undefined;
  readonly repetitions: Uint8Array | undefined;
  /** The bytes after the levels. */
  readonly rest: Uint8Array;
}

/** Reads the pages of a column in one row group, one after the other. */
export class PageReader {
  readonly #leaf: Leaf;
  readonly #chunk: ColumnChunk;
  readonly #bytes: Uint8Array;
  readonly #rowGroup: number;
  #offset = 0;
  #pages = 0;
  #entries = 0;
  /** The distinct values, if the column has a dictionary. */
  dictionary: Values | undefined;

  /** `bytes` start with the column's first page, and may be longer than the chunk says. */
  constructor(leaf: Leaf, chunk: ColumnChunk, bytes: Uint8Array, rowGroup: number) {
    this.#leaf = leaf;
    this.#chunk = chunk;
    this.#bytes = bytes;
    this.#rowGroup = rowGroup;
  }

  /**
   * Returns the next data page that has entries, `undefined` after the last one. Errors:
   * `MalformedFileError`, `FILE_FEATURE_NOT_SUPPORTED`.
   */
  next(): Page | undefined {
    // Old writers did not count the header of the dictionary in the chunk's size, so its end is not
    // the end of the pages if values are missing.
    const isDone = this.#entries >= this.#chunk.values;
    while (this.#offset < (isDone ? this.#chunk.end - this.#chunk.start : this.#bytes.length)) {
      this.#pages++;
      const page = this.#located(() => this.#page());
      if (page === undefined || page.length === 0) continue;
      this.#entries += page.length;
      if (this.#entries > this.#chunk.values)
        throw this.#damaged(`its pages have more than the ${this.#chunk.values} values of the footer`);
      return page;
    }
    if (isDone) return undefined;
    throw this.#damaged(`its pages have ${this.#entries} values, and the footer says ${this.#chunk.values}`);
  }

  #page(): Page | undefined {
    const reader = new ThriftReader(this.#bytes, this.#offset, "page header");
    const header = reader.struct();
    const size = header.required(header.size(3, "compressed size"), "compressed size");
    const body = this.#bytes.subarray(reader.offset, reader.offset + size);
    if (body.length < size)
      throw new MalformedFileError(`it has ${size} bytes, and the column has ${body.length} left`);
    this.#offset = reader.offset + size;
    const crc = header.integer(4, "checksum");
    if (crc !== undefined && crc32(body) !== crc >>> 0)
      throw new MalformedFileError("its checksum is another one than its header says: it is damaged");
    const type = header.integer(1, "type");
    switch (type) {
      case DATA_PAGE:
        return this.#dataPage(header, body);
      case DATA_PAGE_V2:
        return this.#dataPageV2(header, body);
      case DICTIONARY_PAGE:
        this.#readDictionary(header, body);
        return undefined;
      case INDEX_PAGE:
        return undefined;
      default:
        throw new NotSupportedError(`it is a page of the unknown type ${type}`);
    }
  }

  #readDictionary(header: ThriftStruct, body: Uint8Array): void {
    const dictionary = header.required(header.struct(7, "dictionary header"), "dictionary header");
    if (this.dictionary !== undefined) throw new MalformedFileError("it is a second dictionary");
    if (this.#entries > 0) throw new MalformedFileError("it is a dictionary after the values");
    const encoding = dictionary.integer(2, "encoding") ?? 0;
    if (!["PLAIN", "PLAIN_DICTIONARY"].includes(nameOf(encoding)))
      throw new NotSupportedError(`it is a dictionary with the encoding ${nameOf(encoding)}`);
    const count = entriesOf(dictionary);
    const { type, typeLength } = this.#leaf.element;
    this.dictionary = readPlain(this.#decompressed(header, body), type, typeLength, count);
  }

  #dataPage(header: ThriftStruct, body: Uint8Array): Page {
    const data = header.required(header.struct(5, "data page header"), "data page header");
    const count = entriesOf(data);
    const { repetition, definition } = this.#leaf;
    for (const [id, level] of [
      [3, definition],
      [4, repetition],
    ] as const) {
      const encoding = nameOf(data.integer(id, "encoding of levels") ?? 3);
      if (level > 0 && encoding !== "RLE")
        throw new NotSupportedError(`it has levels in the encoding ${encoding}`);
    }
    let rest = this.#decompressed(header, body);
    const read = (level: number) => {
      if (level === 0) return undefined;
      const length = rest.length < 4 ? -1 : new DataView(rest.buffer, rest.byteOffset).getUint32(0, true);
      if (length < 0 || length + 4 > rest.length) throw new MalformedFileError("its levels end too early");
      const levels = readLevels(rest.subarray(4, 4 + length), level, count);
      rest = rest.subarray(4 + length);
      return levels;
    };
    const repetitions = read(repetition);
    const definitions = read(definition);
    return this.#values(data.integer(2, "encoding"), count, { definitions, repetitions, rest });
  }

  #dataPageV2(header: ThriftStruct, body: Uint8Array): Page {
    const data = header.required(header.struct(8, "data page header"), "data page header");
    const count = entriesOf(data);
    const { repetition, definition } = this.#leaf;
    const split = data.required(data.size(6, "size of levels"), "size of levels");
    const levelsEnd = split + data.required(data.size(5, "size of levels"), "size of levels");
    if (levelsEnd > body.length) throw new MalformedFileError("its levels end too early");
    const repetitions = repetition === 0 ? undefined : readLevels(body.subarray(0, split), repetition, count);
    const rows = data.size(3, "number of rows");
    if (rows !== undefined && rows !== (repetitions === undefined ? count : occurrences(repetitions, 0)))
      throw new MalformedFileError(`it has another number of rows than its header says, ${rows}`);
    const levels = {
      repetitions,
      definitions:
        definition === 0 ? undefined : readLevels(body.subarray(split, levelsEnd), definition, count),
      rest: this.#uncompressedV2(header, data, body.subarray(levelsEnd), levelsEnd),
    };
    return this.#values(data.integer(4, "encoding"), count, levels);
  }

  #uncompressedV2(header: ThriftStruct, data: ThriftStruct, body: Uint8Array, levelsEnd: number): Uint8Array {
    const size = header.required(header.size(2, "uncompressed size"), "uncompressed size") - levelsEnd;
    if (size < 0) throw new MalformedFileError("its uncompressed size is less than that of its levels");
    // A page of nulls only has no data, which is then not even compressed.
    if (size === 0) return new Uint8Array(0);
    const isCompressed = data.boolean(7, "is_compressed") ?? true;
    return decompress(isCompressed ? this.#chunk.codec : 0, body, size);
  }

  #decompressed(header: ThriftStruct, body: Uint8Array): Uint8Array {
    const size = header.required(header.size(2, "uncompressed size"), "uncompressed size");
    return size === 0 && body.length === 0 ? body : decompress(this.#chunk.codec, body, size);
  }

  #values(encoding: number | undefined, length: number, { definitions, repetitions, rest }: Levels): Page {
    const defined = definitions === undefined ? length : occurrences(definitions, this.#leaf.definition);
    const name = nameOf(encoding ?? -1);
    const isDictionary = name === "PLAIN_DICTIONARY" || name === "RLE_DICTIONARY";
    return {
      length,
      definitions: defined === length ? undefined : definitions,
      repetitions,
      values:
        defined === 0
          ? []
          : isDictionary
            ? this.#indexes(rest, defined)
            : decodeValues(name, rest, this.#leaf.element, defined),
      isDictionary,
    };
  }

  #indexes(bytes: Uint8Array, count: number): Int32Array {
    const size = this.dictionary?.length;
    if (size === undefined) throw new MalformedFileError("it needs a dictionary, and the column has none");
    const width = bytes[0] ?? 0;
    if (bytes.length === 0 || width > 32) throw new MalformedFileError(`it has indexes of ${width} bits`);
    const indexes = new Int32Array(count);
    readRuns(bytes.subarray(1), width, indexes);
    for (const index of indexes)
      if (index < 0 || index >= size)
        throw new MalformedFileError(`it has the index ${index}, and the dictionary has ${size} values`);
    return indexes;
  }

  /** Puts the place of the page in front of the messages of errors. */
  #located<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (error instanceof MalformedFileError) throw this.#damaged(error.message, error.cause);
      if (!(error instanceof NotSupportedError)) throw error;
      throw notSupported(`${this.#place}: ${error.message}`, error.hint, this.#leaf.path.join("."));
    }
  }

  get #place(): string {
    const page = this.#pages === 0 ? "" : `, page ${this.#pages}`;
    return `column ${quoted([this.#leaf.path.join(".")])}, row group ${this.#rowGroup + 1}${page}`;
  }

  #damaged(problem: string, cause?: unknown): MalformedFileError {
    return new MalformedFileError(`${this.#place}: ${problem}`, cause === undefined ? {} : { cause });
  }
}
