import {
  Binary,
  BinaryView,
  Bool,
  DataType,
  Date_,
  Decimal,
  Dictionary,
  Duration,
  Field,
  FixedSizeBinary,
  FixedSizeList,
  Float,
  Int,
  Interval,
  LargeBinary,
  LargeList,
  LargeUtf8,
  List,
  Map_,
  Null,
  Schema,
  Struct,
  Time,
  Timestamp,
  Union,
  Utf8,
  Utf8View,
} from "apache-arrow";
import { MillraceError } from "../../contract/errors.ts";
import type { FlatTable } from "./flatbuffer.ts";
import { ArrowFormatError } from "./format-error.ts";

/** A schema, and the types of the dictionaries that its fields name by id. */
export interface DecodedSchema {
  readonly schema: Schema;
  readonly dictionaryTypes: ReadonlyMap<number, DataType>;
}

/** Fewest bytes that the metadata of a field takes. */
const FIELD_BYTES = 8;
const LITTLE_ENDIAN = 0;
/** Largest scale of a decimal that is taken for one, and not for damage. */
const MAX_SCALE = 1000;

/** Types of the format that apache-arrow has no class for, by their number in the format. */
const UNSUPPORTED: Readonly<Record<number, string>> = {
  22: "RunEndEncoded",
  25: "ListView",
  26: "LargeListView",
};

/**
 * Decodes the metadata of a schema. Errors: `TYPE_NOT_SUPPORTED` for a type that apache-arrow does
 * not have, and for big-endian data; `ArrowFormatError`.
 */
export function decodeSchemaTable(table: FlatTable): DecodedSchema {
  if (table.int16(0) !== LITTLE_ENDIAN) {
    throw new MillraceError("TYPE_NOT_SUPPORTED", "its values are big-endian, which is not supported", {
      hint: "Write it again on a little-endian machine, which most machines are.",
    });
  }
  const decoder = new FieldDecoder(table.bufferBytes / FIELD_BYTES);
  const fields = table.tables(1).map((field) => decoder.decode(field, ""));
  return { schema: new Schema(fields, metadataOf(table, 2)), dictionaryTypes: decoder.dictionaryTypes };
}

/** Returns the key-value metadata in a field of a table. */
export function metadataOf(table: FlatTable, field: number): Map<string, string> {
  return new Map(table.tables(field).map((pair) => [pair.string(0) ?? "", pair.string(1) ?? ""]));
}

class FieldDecoder {
  readonly dictionaryTypes = new Map<number, DataType>();
  /** Limits hostile metadata, in which many fields share the same bytes. */
  #fieldsLeft: number;

  constructor(fieldsLeft: number) {
    this.#fieldsLeft = fieldsLeft;
  }

  decode(table: FlatTable, parent: string): Field {
    if (this.#fieldsLeft-- <= 0) throw new ArrowFormatError("its metadata has too many fields");
    const name = table.string(0) ?? "";
    const path = parent === "" ? name : `${parent}.${name}`;
    const children = table.tables(5).map((child) => this.decode(child, path));
    const value = decodeType(table, children, path);
    const encoding = table.table(4);
    const type = encoding === undefined ? value : this.#dictionary(encoding, value, path);
    return new Field(name, type, table.bool(1), metadataOf(table, 6));
  }

  #dictionary(encoding: FlatTable, value: DataType, path: string): DataType {
    const id = encoding.int64(0);
    const index = encoding.table(1);
    const known = this.dictionaryTypes.get(id) ?? value;
    if (String(known) !== String(value)) {
      throw new ArrowFormatError("shares a dictionary with a column of another type", { column: path });
    }
    this.dictionaryTypes.set(id, known);
    const indices = index === undefined ? new Int(true, 32) : intOf(index, path);
    return new Dictionary(known, indices as Dictionary["indices"], id, encoding.bool(2));
  }
}

function decodeType(field: FlatTable, children: readonly Field[], path: string): DataType {
  const number = field.uint8(2);
  const type = plainTypeOf(number) ?? nestedTypeOf(number, field, children, path);
  if (type !== undefined) return type;
  const table = field.table(3);
  const parameterised = table === undefined ? undefined : parameterisedTypeOf(number, table, path);
  if (parameterised !== undefined) return parameterised;
  const name = UNSUPPORTED[number];
  if (name === undefined) throw new ArrowFormatError(`has no known type (${number})`, { column: path });
  throw new MillraceError(
    "TYPE_NOT_SUPPORTED",
    `column "${path}" has the Arrow type ${name}, which is not supported`,
    {
      where: { field: path },
      hint: "Write the file again with plain values: a list in place of a list view, values in place of runs.",
    },
  );
}

function plainTypeOf(number: number): DataType | undefined {
  switch (number) {
    case 1:
      return new Null();
    case 4:
      return new Binary();
    case 5:
      return new Utf8();
    case 6:
      return new Bool();
    case 19:
      return new LargeBinary();
    case 20:
      return new LargeUtf8();
    case 23:
      return new BinaryView();
    case 24:
      return new Utf8View();
    default:
      return undefined;
  }
}

function parameterisedTypeOf(number: number, table: FlatTable, path: string): DataType | undefined {
  switch (number) {
    case 2:
      return intOf(table, path);
    case 3:
      return new Float(oneOf(table.int16(0), [0, 1, 2], path));
    case 7:
      return decimalOf(table, path);
    case 8:
      return new Date_(oneOf(table.int16(0, 1), [0, 1], path));
    case 9: {
      const unit = oneOf(table.int16(0, 1), [0, 1, 2, 3], path);
      return new Time(unit, oneOf(table.int32(1, 32), [unit < 2 ? 32 : 64], path) as 32 | 64);
    }
    case 10:
      return new Timestamp(oneOf(table.int16(0), [0, 1, 2, 3], path), table.string(1) ?? null);
    case 11:
      return new Interval(oneOf(table.int16(0), [0, 1, 2], path));
    case 15:
      return new FixedSizeBinary(oneOf(table.int32(0), [Math.max(0, table.int32(0))], path));
    case 18:
      return new Duration(oneOf(table.int16(0, 1), [0, 1, 2, 3], path));
    default:
      return undefined;
  }
}

function nestedTypeOf(
  number: number,
  field: FlatTable,
  children: readonly Field[],
  path: string,
): DataType | undefined {
  const [child] = children;
  const only = (): Field => {
    if (child === undefined || children.length > 1)
      throw new ArrowFormatError("must have one child type", { column: path });
    return child;
  };
  switch (number) {
    case 12:
      return new List(only());
    case 13:
      return new Struct([...children]);
    case 14: {
      const ids = field.table(3)?.int32s(1) ?? [];
      const mode = oneOf(field.table(3)?.int16(0) ?? 0, [0, 1], path);
      return new Union(mode, ids.length === 0 ? children.map((_, i) => i) : ids, [...children]);
    }
    case 16: {
      const size = field.table(3)?.int32(0) ?? 0;
      return new FixedSizeList(oneOf(size, [Math.max(0, size)], path), only());
    }
    case 17:
      if (!DataType.isStruct(only().type) || only().type.children.length !== 2)
        throw new ArrowFormatError("is a map without keys and values", { column: path });
      return new Map_(only(), field.table(3)?.bool(0) ?? false);
    case 21:
      return new LargeList(only());
    default:
      return undefined;
  }
}

function intOf(table: FlatTable, path: string): Int {
  return new Int(table.bool(1), oneOf(table.int32(0), [8, 16, 32, 64], path) as 8 | 16 | 32 | 64);
}

function decimalOf(table: FlatTable, path: string): Decimal {
  const [precision, scale] = [table.int32(0), table.int32(1)];
  const bitWidth = oneOf(table.int32(2, 128), [32, 64, 128, 256], path);
  if (precision >= 1 && precision <= bitWidth && Math.abs(scale) <= MAX_SCALE)
    return new Decimal(scale, precision, bitWidth);
  throw new ArrowFormatError(`cannot be a decimal of the precision ${precision} and scale ${scale}`, {
    column: path,
  });
}

function oneOf(value: number, allowed: readonly number[], path: string): number {
  if (allowed.includes(value)) return value;
  throw new ArrowFormatError(`its type has the parameter ${value}, which is none of the format's`, {
    column: path,
  });
}
