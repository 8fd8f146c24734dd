import {
  Binary,
  Bool,
  type DataType,
  DateDay,
  Decimal,
  Field,
  Float64,
  Int64,
  List,
  Map_,
  Schema,
  Struct,
  TimestampMicrosecond,
  Utf8,
} from "apache-arrow";
import { isPlainObject, JsonNumber } from "../contract/json.ts";

/** A schema that fits a sample of rows, and what a person should know about it. */
export interface InferredSchema {
  readonly schema: Schema;
  /** One sentence for each column that the sample says too little about. */
  readonly notes: readonly string[];
}

const LONG = 2n ** 63n;
/** An object with more names than this, over all rows, is taken for a map. */
const MOST_FIELDS = 100;
const MOST_DIGITS = 38;
const DATE = /^\d{4}-\d{2}-\d{2}$/;
const TIME = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})?$/;
const PLAIN = /^-?(\d+)(?:\.(\d+))?$/;

/** Infers a schema from rows that are objects, such as records of JSON. All columns may be null. */
export class SchemaInference {
  readonly #root = new Seen();
  rows = 0;

  add(row: object): void {
    this.rows++;
    this.#root.addFields(row as Readonly<Record<string, unknown>>);
  }

  finish(): InferredSchema {
    const notes: string[] = [];
    return { schema: new Schema(this.#root.fields("", notes)), notes };
  }
}

type Kind = "boolean" | "number" | "text" | "time" | "bytes" | "object" | "array";

/** The kinds of the values at one place, and what is below them. */
class Seen {
  readonly #kinds = new Set<Kind>();
  readonly #numbers = new Numbers();
  readonly #texts = new Texts();
  readonly #fields = new Map<string, Seen>();
  #items: Seen | undefined;

  add(value: unknown): void {
    if (value === null || value === undefined) return;
    const kind = kindOf(value);
    this.#kinds.add(kind);
    if (kind === "number") this.#numbers.add(value as number | bigint | JsonNumber);
    if (kind === "text") this.#texts.add(String(value));
    if (kind === "object") this.addFields(value as Readonly<Record<string, unknown>>);
    if (kind !== "array") return;
    this.#items ??= new Seen();
    for (const item of value as readonly unknown[]) this.#items.add(item);
  }

  addFields(object: Readonly<Record<string, unknown>>): void {
    for (const [name, value] of Object.entries(object)) {
      const seen = this.#fields.get(name) ?? new Seen();
      this.#fields.set(name, seen);
      seen.add(value);
    }
  }

  fields(path: string, notes: string[]): Field[] {
    return [...this.#fields].map(
      ([name, seen]) => new Field(name, seen.#type(`${path}${name}`, notes), true),
    );
  }

  #type(path: string, notes: string[]): DataType {
    const [kind, ...others] = this.#kinds;
    if (kind === undefined) {
      notes.push(`"${path}" is null in all rows of the sample: string is a guess`);
      return new Utf8();
    }
    if (others.length > 0) {
      notes.push(
        `"${path}" is of several kinds (${[...this.#kinds].join(", ")}): string takes only its texts`,
      );
      return new Utf8();
    }
    switch (kind) {
      case "boolean":
        return new Bool();
      case "bytes":
        return new Binary();
      case "time":
        return new TimestampMicrosecond("UTC");
      case "number":
        return this.#numbers.type(path, notes);
      case "text":
        return this.#texts.type();
      case "array":
        return new List(new Field("element", (this.#items ?? new Seen()).#type(`${path}[]`, notes), true));
      case "object":
        return this.#objectType(path, notes);
    }
  }

  #objectType(path: string, notes: string[]): DataType {
    if (this.#fields.size === 0) {
      notes.push(`"${path}" has no fields in the sample: a map of strings is a guess`);
      return mapOf(new Utf8());
    }
    if (this.#fields.size <= MOST_FIELDS) return new Struct(this.fields(`${path}.`, notes));
    notes.push(`"${path}" has ${this.#fields.size} names over all rows: it is taken for a map`);
    const values = new Seen();
    for (const field of this.#fields.values()) values.#merge(field);
    return mapOf(values.#type(`${path}[]`, notes));
  }

  #merge(other: Seen): void {
    for (const kind of other.#kinds) this.#kinds.add(kind);
    this.#numbers.merge(other.#numbers);
    this.#texts.merge(other.#texts);
    for (const [name, seen] of other.#fields) {
      const own = this.#fields.get(name) ?? new Seen();
      own.#merge(seen);
      this.#fields.set(name, own);
    }
    if (other.#items === undefined) return;
    this.#items ??= new Seen();
    this.#items.#merge(other.#items);
  }
}

function mapOf(value: DataType): DataType {
  const entries = new Struct([new Field("key", new Utf8(), false), new Field("value", value, true)]);
  return new Map_(new Field("entries", entries, false) as never, false);
}

function kindOf(value: unknown): Kind {
  if (typeof value === "boolean") return "boolean";
  if (typeof value === "number" || typeof value === "bigint" || value instanceof JsonNumber) return "number";
  if (Array.isArray(value)) return "array";
  if (value instanceof Date) return "time";
  if (value instanceof Uint8Array) return "bytes";
  return isPlainObject(value) ? "object" : "text";
}

/** The numbers at one place. */
class Numbers {
  #isWhole = true;
  #isLong = true;
  #isDouble = true;
  #isPlain = true;
  #before = 0;
  #after = 0;

  add(value: number | bigint | JsonNumber): void {
    const text = value instanceof JsonNumber ? value.source : String(value);
    const plain = PLAIN.exec(text);
    this.#isPlain &&= plain !== null;
    this.#before = Math.max(this.#before, plain?.[1]?.length ?? 0);
    this.#after = Math.max(this.#after, plain?.[2]?.length ?? 0);
    const isWhole = plain !== null && plain[2] === undefined;
    this.#isWhole &&= isWhole;
    if (isWhole) this.#isLong &&= BigInt(text) >= -LONG && BigInt(text) < LONG;
    this.#isDouble &&= canonical(String(Number(text))) === canonical(text);
  }

  merge(other: Numbers): void {
    this.#isWhole &&= other.#isWhole;
    this.#isLong &&= other.#isLong;
    this.#isDouble &&= other.#isDouble;
    this.#isPlain &&= other.#isPlain;
    this.#before = Math.max(this.#before, other.#before);
    this.#after = Math.max(this.#after, other.#after);
  }

  type(path: string, notes: string[]): DataType {
    if (this.#isWhole && this.#isLong) return new Int64();
    if (this.#isDouble) return new Float64();
    if (this.#isPlain && this.#before + this.#after <= MOST_DIGITS)
      return new Decimal(this.#after, MOST_DIGITS, 128);
    notes.push(`"${path}" has numbers of more digits than double and decimal keep: double is a guess`);
    return new Float64();
  }
}

/** Returns the same text for all ways to write one number. */
function canonical(text: string): string {
  const [mantissa = "", exponent = "0"] = text.toLowerCase().split("e");
  const [whole = "", fraction = ""] = mantissa.replace("-", "").split(".");
  const digits = (whole + fraction).replace(/^0+/, "");
  const kept = digits.replace(/0+$/, "");
  const power = Number(exponent) - fraction.length + digits.length - kept.length;
  return kept === "" ? "0" : `${mantissa.startsWith("-") ? "-" : ""}${kept}e${power}`;
}

/** The texts at one place. */
class Texts {
  #areDates = true;
  #areTimes = true;
  #zones = new Set<boolean>();

  add(text: string): void {
    this.#areDates &&= DATE.test(text);
    const time = this.#areTimes ? TIME.exec(text) : null;
    this.#areTimes &&= time !== null;
    if (time !== null) this.#zones.add(time[1] !== undefined);
  }

  merge(other: Texts): void {
    this.#areDates &&= other.#areDates;
    this.#areTimes &&= other.#areTimes;
    for (const zone of other.#zones) this.#zones.add(zone);
  }

  type(): DataType {
    if (this.#areDates) return new DateDay();
    // Times with a zone and times without one are no instants of one kind.
    if (!this.#areTimes || this.#zones.size !== 1) return new Utf8();
    return this.#zones.has(true) ? new TimestampMicrosecond("UTC") : new TimestampMicrosecond();
  }
}
