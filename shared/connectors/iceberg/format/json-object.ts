import { MillraceError } from "../../../contract/errors.ts";
import { isPlainObject, kindOf } from "../../../contract/json.ts";
import type { Long } from "./types.ts";

const MIN_LONG = -(2n ** 63n);
const MAX_LONG = 2n ** 63n - 1n;

/** An object in a metadata file. Its functions check a value, and name its place if it is wrong. */
export class JsonObject {
  readonly json: Readonly<Record<string, unknown>>;
  /** The place in the file, such as `snapshots[3]`. */
  readonly #place: string;
  readonly #location: string;

  constructor(value: unknown, place: string, location: string) {
    this.#place = place;
    this.#location = location;
    if (!isPlainObject(value)) throw this.#wrong("", value, "an object");
    this.json = value;
  }

  text(key: string): string {
    const value = this.json[key];
    if (typeof value !== "string") throw this.#wrong(key, value, "text");
    return value;
  }

  boolean(key: string): boolean {
    const value = this.json[key];
    if (typeof value !== "boolean") throw this.#wrong(key, value, "true or false");
    return value;
  }

  /** Returns a whole number below 2^53. */
  integer(key: string): number {
    const value = this.json[key];
    if (typeof value !== "number" || !Number.isSafeInteger(value))
      throw this.#wrong(key, value, "a whole number below 2^53");
    return value;
  }

  /** Returns `undefined` if the value is absent or null. */
  optionalInteger(key: string): number | undefined {
    return this.#isAbsent(key) ? undefined : this.integer(key);
  }

  /** Returns a whole number of 64 bits. */
  long(key: string): Long {
    const value = this.json[key];
    const isLong =
      typeof value === "bigint" ? value >= MIN_LONG && value <= MAX_LONG : Number.isSafeInteger(value);
    if (!isLong) throw this.#wrong(key, value, "a whole number of 64 bits that was not rounded");
    return value as Long;
  }

  /** Returns the id of a snapshot. */
  snapshotId(key = "snapshot-id"): bigint {
    return BigInt(this.long(key));
  }

  /** Returns `undefined` if the value is absent, null or -1: writers use all three. */
  optionalSnapshotId(key: string): bigint | undefined {
    const id = this.#isAbsent(key) ? -1n : this.snapshotId(key);
    return id === -1n ? undefined : id;
  }

  object(key: string): JsonObject {
    return new JsonObject(this.json[key], this.placeOf(key), this.#location);
  }

  /** Returns an empty object if the value is absent or null. */
  optionalObject(key: string): JsonObject {
    return new JsonObject(this.#isAbsent(key) ? {} : this.json[key], this.placeOf(key), this.#location);
  }

  objects(key: string): JsonObject[] {
    const value = this.json[key];
    if (!Array.isArray(value)) throw this.#wrong(key, value, "a list");
    return value.map(
      (item: unknown, i) => new JsonObject(item, `${this.placeOf(key)}[${i}]`, this.#location),
    );
  }

  /** Returns an empty list if the value is absent or null. */
  optionalObjects(key: string): JsonObject[] {
    return this.#isAbsent(key) ? [] : this.objects(key);
  }

  /** Returns the entries of an object whose values are all objects. */
  entries(): [string, JsonObject][] {
    return Object.keys(this.json).map((key) => [key, this.object(key)]);
  }

  /** Returns an object whose values are all text. */
  texts(key: string): Record<string, string> {
    const object = this.optionalObject(key);
    return Object.fromEntries(Object.keys(object.json).map((name) => [name, object.text(name)]));
  }

  placeOf(key: string): string {
    if (this.#place === "") return key;
    return key === "" ? this.#place : `${this.#place}.${key}`;
  }

  fail(problem: string): MillraceError {
    return invalidMetadata(this.#location, this.#place === "" ? problem : `${this.#place}: ${problem}`);
  }

  #isAbsent(key: string): boolean {
    return this.json[key] === undefined || this.json[key] === null;
  }

  #wrong(key: string, value: unknown, wanted: string): MillraceError {
    const place = this.placeOf(key) || "it";
    const problem =
      value === undefined ? `${place} is missing` : `${place} is ${kindOf(value)}, not ${wanted}`;
    return invalidMetadata(this.#location, problem);
  }
}

export function invalidMetadata(location: string, problem: string): MillraceError {
  return new MillraceError("TABLE_METADATA_INVALID", `the metadata of ${location}: ${problem}`, {
    where: { path: location },
    hint: "Repair the table with the program that wrote it, or point its catalog to an earlier metadata file: `millrace table path` shows the present one.",
  });
}
