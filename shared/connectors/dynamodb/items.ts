import type { AttributeValue } from "@aws-sdk/client-dynamodb";
import { DataType, type Field, type RecordBatch, type Schema, type Struct } from "apache-arrow";
import { rowType } from "../../arrow/row-type.ts";
import { rowsOf } from "../../arrow/rows.ts";
import { typeName } from "../../contract/ddl/print.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { NamedRow } from "../../contract/stream-reader.ts";
import { suggest } from "../../contract/suggest.ts";
import { sha256 } from "../kit/sha256.ts";
import { ITEM_BYTES, itemBytes, PARTITION_KEY_BYTES, SORT_KEY_BYTES, valueBytes } from "./item-size.ts";
import type { ParsedOptions } from "./options.ts";

/**
 * The number in the key of a record has 38 digits: its absolute value is from 10^37 to 2 * 10^37.
 */
const MARKER_NUMBERS = 10n ** 37n;

/** An item in the format of the DynamoDB API. */
export type Item = Record<string, AttributeValue>;

/**
 * Converts rows to items. Numbers keep all their digits; times and dates become ISO 8601 strings;
 * bytes stay bytes.
 */
export class ItemMaker {
  readonly #fields: readonly Field[];
  readonly #omitNulls: boolean;
  readonly #keys: readonly string[];
  readonly #keyFields: readonly Field[];

  /**
   * Checks the key fields of the rows. Error: `OPTIONS_INVALID` if a key is not a field of the rows
   * or its type cannot be a key.
   */
  constructor(schema: Schema, { partitionKey, sortKey, versionAttribute, omitNulls }: ParsedOptions) {
    this.#fields = schema.fields;
    this.#omitNulls = omitNulls;
    this.#keys = sortKey === undefined ? [partitionKey] : [partitionKey, sortKey];
    this.#keyFields = schema.fields.filter(({ name }) => this.#keys.includes(name));
    const names = schema.fields.map((field) => field.name);
    const invalid = (problem: string) =>
      new MillraceError("OPTIONS_INVALID", `dynamodb cannot use its options: ${problem}`, {
        hint: "Name fields of the rows that are strings, numbers or bytes.",
      });
    for (const key of this.#keys) {
      const field = schema.fields.find(({ name }) => name === key);
      if (field === undefined)
        throw invalid(`the rows have no field "${key}", which is to be a key${suggest(key, names)}`);
      if (!isKeyType(field.type)) throw invalid(`"${key}" is to be a key, but is ${typeName(field.type)}`);
    }
    if (names.includes(versionAttribute))
      throw invalid(`the rows have a field "${versionAttribute}", which is versionAttribute`);
  }

  /**
   * Yields an item for each row. Error: `ROW_MISMATCH` if a key is null or empty, or if DynamoDB
   * cannot store a number (NaN, infinity, or one outside 1e-130 to 1e126).
   */
  *itemsOf(batch: RecordBatch, firstRow: number): Generator<Item> {
    let row = firstRow;
    for (const values of rowsOf(batch)) yield this.itemOf(values, row++);
  }

  /**
   * Returns an error for each row that DynamoDB cannot store: those of `itemOf`, and those of its
   * size. `before` is the number of rows of the task before this batch. Error: `ROW_MISMATCH`.
   */
  refusedOf(batch: RecordBatch, pipeline: string, before: number): Map<number, MillraceError> {
    const refused = new Map<number, MillraceError>();
    let index = 0;
    for (const values of rowsOf(batch)) {
      try {
        const item = this.itemOf(values, before + index + 1);
        this.#checkSize(item, before + index + 1);
        this.checkNotMarker(item, pipeline, before + index + 1);
      } catch (error) {
        if (!MillraceError.is(error) || error.code !== "ROW_MISMATCH") throw error;
        refused.set(index, error);
      }
      index++;
    }
    return refused;
  }

  #checkSize(item: Item, row: number): void {
    for (const [i, key] of this.#keys.entries()) {
      const [most, size] = [i === 0 ? PARTITION_KEY_BYTES : SORT_KEY_BYTES, valueBytes(item[key])];
      if (size > most) throw mismatch(key, row, `expected a key of at most ${most} bytes, found ${size}`);
    }
    const size = itemBytes(item);
    if (size <= ITEM_BYTES) return;
    throw new MillraceError("ROW_MISMATCH", `row ${row}: expected at most 400 KB, found ${size} bytes`, {
      where: { row },
      hint: "DynamoDB cannot keep a larger item: keep large values in another store, or leave the row out.",
    });
  }

  /** Returns the item of one row. Errors as those of `itemsOf`. */
  itemOf(values: NamedRow, row: number): Item {
    const item: Item = {};
    for (const field of this.#fields) {
      const value = values[field.name] ?? null;
      if (value === null && this.#omitNulls && !this.#keys.includes(field.name)) continue;
      item[field.name] = attributeOf(field, value, row);
    }
    for (const key of this.#keys) checkKey(key, item[key], row);
    return item;
  }

  /** Returns only the key of the item of a row. */
  keyItemOf(values: NamedRow, row: number): Item {
    const item = Object.fromEntries(
      this.#keyFields.map((field) => [field.name, attributeOf(field, values[field.name] ?? null, row)]),
    );
    for (const key of this.#keys) checkKey(key, item[key], row);
    return item;
  }

  /**
   * Returns the key of the item that records a pipeline's last batch. Text and bytes are
   * `millrace#<pipeline>`; a number is negative and made of the SHA-256 of that text.
   */
  markerKey(pipeline: string): Item {
    const text = `millrace#${pipeline}`;
    return Object.fromEntries(this.#keyFields.map(({ name, type }) => [name, markerValue(type, text)]));
  }

  /** Error: `ROW_MISMATCH` if the item has the key of the record of the pipeline's last batch. */
  checkNotMarker(item: Item, pipeline: string, row: number): void {
    if (this.keyOf(item) !== this.keyOf(this.markerKey(pipeline))) return;
    const [key = ""] = this.#keys;
    throw mismatch(key, row, "this key is that of Millrace's own record of the last batch");
  }

  /** Returns a string that is equal for items with the same key, which replace each other. */
  keyOf(item: Item): string {
    return JSON.stringify(this.#keys.map((key) => Object.values(item[key] ?? {}).map(String)));
  }
}

/** DynamoDB's numbers, beside 0, are at least `SMALLEST` and below `TOO_LARGE`. */
const SMALLEST = 1e-130;
const TOO_LARGE = 1e126;

function isKeyType(fieldType: DataType): boolean {
  const type = rowType(fieldType);
  const isNumber = DataType.isInt(type) || DataType.isFloat(type) || DataType.isDecimal(type);
  const isText = DataType.isUtf8(type) || DataType.isDate(type) || DataType.isTimestamp(type);
  return isNumber || isText || DataType.isBinary(type);
}

function markerValue(fieldType: DataType, text: string): AttributeValue {
  const type = rowType(fieldType);
  if (DataType.isBinary(type)) return { B: Buffer.from(text) };
  if (DataType.isUtf8(type) || DataType.isDate(type) || DataType.isTimestamp(type)) return { S: text };
  // DynamoDB's numbers have at most 38 digits.
  const digits = BigInt(`0x${sha256(text).toString("hex")}`) % MARKER_NUMBERS;
  return { N: String(-(MARKER_NUMBERS + digits)) };
}

function checkKey(key: string, value: AttributeValue | undefined, row: number): void {
  const isEmpty = value?.NULL === true || value?.S === "" || value?.B?.length === 0;
  if (!isEmpty) return;
  throw mismatch(key, row, `expected a key, found ${value?.NULL === true ? "null" : "nothing in it"}`);
}

function attributeOf(field: Field, value: unknown, row: number): AttributeValue {
  const { name } = field;
  const type = rowType(field.type);
  if (value === null) return { NULL: true };
  if (DataType.isUnion(type)) throw mismatch(name, row, "expected a type of DynamoDB, found a union");
  if (DataType.isBool(type)) return { BOOL: value === true };
  if (DataType.isInt(type) || DataType.isDecimal(type)) return { N: String(value) };
  if (DataType.isFloat(type)) return { N: numberText(name, value, row) };
  if (DataType.isBinary(type)) return { B: Buffer.from(value as string, "base64") };
  if (DataType.isStruct(type)) {
    const members = (type as Struct).children;
    return { M: membersOf(members, value as Record<string, unknown>, row) };
  }
  if (DataType.isList(type)) {
    const [element] = type.children as Field[];
    return {
      L: (value as unknown[]).map((one) =>
        element === undefined ? { NULL: true } : attributeOf(element, one, row),
      ),
    };
  }
  if (DataType.isMap(type)) {
    if (Array.isArray(value))
      throw mismatch(name, row, "expected keys that are text, found lists or structs");
    const [, element] = type.childType.children as Field[];
    const entries = Object.entries(value as Record<string, unknown>);
    return {
      M: Object.fromEntries(
        entries.map(([key, one]) => [
          key,
          element === undefined ? { NULL: true } : attributeOf(element, one, row),
        ]),
      ),
    };
  }
  return { S: String(value) };
}

/** Returns the text of a number. Error: `ROW_MISMATCH` if DynamoDB cannot hold it. */
function numberText(name: string, value: unknown, row: number): string {
  const size = Math.abs(Number(value));
  if (!Number.isFinite(size))
    throw mismatch(name, row, `expected a number of DynamoDB, found ${String(value)}`);
  if (size !== 0 && (size < SMALLEST || size >= TOO_LARGE))
    throw mismatch(name, row, "expected a number of DynamoDB (1e-130 to 1e126), found a number outside it");
  return String(value);
}

function membersOf(members: readonly Field[], value: Record<string, unknown>, row: number): Item {
  return Object.fromEntries(
    members.map((member) => [member.name, attributeOf(member, value[member.name] ?? null, row)]),
  );
}

function mismatch(field: string, row: number, problem: string): MillraceError {
  return new MillraceError("ROW_MISMATCH", `row ${row}, field "${field}": ${problem}`, {
    where: { row, field },
    hint: "DynamoDB cannot keep it: convert it in read(), or leave the row out.",
  });
}
