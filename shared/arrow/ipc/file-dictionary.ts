import { type Data, DataType, type Dictionary } from "apache-arrow";
import { MillraceError } from "../../contract/errors.ts";
import { concatData } from "../concat.ts";
import { takeData } from "../take.ts";
import { valueKeys } from "../value-keys.ts";

/**
 * The one dictionary that a column has in a file. Record batches may come with a dictionary each,
 * which a file cannot replace, so their values are gathered and their indices counted anew.
 */
export class FileDictionary {
  /** Size of the values so far. */
  bytes = 0;
  readonly #type: Dictionary;
  readonly #path: string;
  readonly #encode: (values: Data) => Data;
  readonly #pieces: Data[] = [];
  /** The first dictionary, until its keys are needed: most files have only one. */
  #first: Data | undefined;
  #indexByKey: Map<string, number> | undefined;
  #length = 0;
  readonly #mappings = new WeakMap<Data, ArrayLike<number>>();

  constructor(type: Dictionary, path: string, encode: (values: Data) => Data) {
    this.#type = type;
    this.#path = path;
    this.#encode = encode;
  }

  values(): Data {
    return concatData(this.#type.dictionary, this.#pieces);
  }

  /**
   * Returns the column's indices into this dictionary, after adding the values of the column's own
   * `dictionary`. Error: `DICTIONARY_TOO_LARGE`.
   */
  indicesOf(data: Data, dictionary: Data): ArrayLike<number | bigint> {
    const own = data.values.subarray(0, data.length) as Int32Array;
    if (this.#length === 0 && this.#pieces.length === 0) {
      this.#first = dictionary;
      this.#append(dictionary);
    }
    if (dictionary === this.#first) return own;
    const mapping = this.#mappings.get(dictionary) ?? this.#add(dictionary);
    this.#mappings.set(dictionary, mapping);
    const mapped = own.slice();
    const isBigInt = DataType.isInt(this.#type.indices) && (this.#type.indices.bitWidth as number) === 64;
    for (let i = 0; i < data.length; i++) {
      const index = mapping[Number(own[i])] ?? 0;
      mapped[i] = (isBigInt ? BigInt(index) : index) as number;
      if (data.getValid(i) && Number(mapped[i]) !== index) throw this.#tooLarge();
    }
    return mapped;
  }

  #add(dictionary: Data): number[] {
    this.#indexByKey ??= this.#keysOfFirst();
    const known = this.#indexByKey;
    const keys = valueKeys(dictionary);
    const added: number[] = [];
    const mapping = Array.from({ length: dictionary.length }, (_, i) => {
      const key = keys(i);
      const index = known.get(key) ?? this.#length + added.push(i) - 1;
      known.set(key, index);
      return index;
    });
    if (added.length > 0) {
      if (this.#type.isOrdered) throw this.#unordered();
      this.#append(takeData(dictionary, added));
    }
    return mapping;
  }

  #append(values: Data): void {
    const encoded = this.#encode(values);
    this.#pieces.push(encoded);
    this.bytes += encoded.byteLength;
    this.#length += values.length;
  }

  #keysOfFirst(): Map<string, number> {
    const keys = new Map<string, number>();
    const first = this.#first;
    if (first === undefined) return keys;
    const keyAt = valueKeys(first);
    for (let i = first.length - 1; i >= 0; i--) keys.set(keyAt(i), i);
    return keys;
  }

  #tooLarge(): MillraceError {
    return new MillraceError(
      "DICTIONARY_TOO_LARGE",
      `column "${this.#path}": the dictionaries of its record batches have ${this.#length} values together, more than its indices of the type ${this.#type.indices} can count`,
      {
        where: { field: this.#path },
        hint: "Give it indices of the type Int32 in the schema, or its values without a dictionary.",
      },
    );
  }

  #unordered(): MillraceError {
    return new MillraceError(
      "DICTIONARY_TOO_LARGE",
      `column "${this.#path}": its dictionary is ordered, and a later record batch adds values, whose place in the order is not known`,
      {
        where: { field: this.#path },
        hint: "Give all record batches the same dictionary, or one that is not ordered.",
      },
    );
  }
}
