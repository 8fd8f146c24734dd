import {
  Binary,
  Bool,
  DataType,
  DateDay,
  Decimal,
  DurationMicrosecond,
  Field,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  List,
  Map_,
  Null,
  Schema,
  Struct,
  TimeNanosecond,
  TimestampMicrosecond,
  Utf8,
} from "apache-arrow";
import { MillraceError } from "./errors.ts";
import { kindOf } from "./json.ts";

/** Spark's type names and the Arrow types that Spark maps them to. */
const SIMPLE_TYPES = new Map<string, () => DataType>(
  Object.entries({
    boolean: () => new Bool(),
    tinyint: () => new Int8(),
    byte: () => new Int8(),
    smallint: () => new Int16(),
    short: () => new Int16(),
    int: () => new Int32(),
    integer: () => new Int32(),
    bigint: () => new Int64(),
    long: () => new Int64(),
    float: () => new Float32(),
    real: () => new Float32(),
    double: () => new Float64(),
    string: () => new Utf8(),
    binary: () => new Binary(),
    date: () => new DateDay(),
    timestamp: () => new TimestampMicrosecond("UTC"),
    timestamp_ltz: () => new TimestampMicrosecond("UTC"),
    timestamp_ntz: () => new TimestampMicrosecond(),
    time: () => new TimeNanosecond(),
    "interval day to second": () => new DurationMicrosecond(),
    void: () => new Null(),
  }),
);
const MAX_DECIMAL_PRECISION = 38;
/** Digits of a second in Spark's `time`, where its DDL names none. */
const TIME_PRECISION = 6;
/** Where Spark keeps `varchar(20)`, for which Arrow has no type, in a field's metadata. */
const CHAR_TYPE = "__CHAR_VARCHAR_TYPE_STRING";

/**
 * The Arrow schema of Spark's DDL: `"id string NOT NULL, time timestamp, mag double, tags array<string>"`. Names are case-sensitive
 * and may be quoted with backticks; types are not. Error: `SCHEMA_INVALID`, with the position.
 */
export function parseDdl(ddl: string): Schema {
  const parser = new DdlParser(ddl);
  return new Schema(parser.fields(undefined));
}

/**
 * The schema that a source gave: DDL, or an Arrow schema, of this copy of Arrow or of another. Error: `SCHEMA_INVALID` for anything else, and
 * for one without fields: rows would be committed without their columns.
 */
export function toSchema(given: unknown): Schema {
  if (typeof given === "string") return parseDdl(given);
  const fields = typeof given === "object" && given !== null && "fields" in given ? given.fields : undefined;
  if (!Array.isArray(fields) || fields.length === 0) {
    throw new MillraceError(
      "SCHEMA_INVALID",
      `schema() must give DDL or an Arrow Schema with fields, but gave ${kindOf(given)}`,
      {
        hint: 'Return Spark DDL, such as "id string NOT NULL, time timestamp, mag double", or an Arrow Schema.',
      },
    );
  }
  if (given instanceof Schema) return given;
  const { metadata } = given as Schema;
  return new Schema((fields as Field[]).map(ownField), new Map(metadata));
}

/** The same field, of this copy of Arrow. */
function ownField(field: Field): Field {
  return new Field(field.name, ownType(field.type, field.name), field.nullable, new Map(field.metadata));
}

function ownType(type: DataType, name: string): DataType {
  const [child] = (type.children ?? []) as Field[];
  if (DataType.isStruct(type)) return new Struct(type.children.map(ownField));
  if (DataType.isList(type) && child !== undefined) return new List(ownField(child));
  if (DataType.isMap(type) && child !== undefined) {
    return new Map_(ownField(child) as Field<Struct>, type.keysSorted);
  }
  if (DataType.isDecimal(type)) return new Decimal(type.scale, type.precision, type.bitWidth);
  const simple = SIMPLE_TYPES.get(typeName(type));
  if (simple !== undefined) return simple();
  throw new MillraceError(
    "SCHEMA_INVALID",
    `field "${name}" has the Arrow type ${typeName(type)}, of another copy of apache-arrow, for which there is no DDL`,
    { hint: "Install one apache-arrow, of the version that millrace asks for, or choose a type of the DDL." },
  );
}

/** The DDL type name of an Arrow type, or Arrow's own name where DDL has none. */
export function typeName(type: DataType): string {
  if (DataType.isDecimal(type)) {
    return `decimal${type.bitWidth === 128 ? "" : type.bitWidth}(${type.precision},${type.scale})`;
  }
  if (DataType.isList(type)) return `array<${typeName(type.valueType)}>`;
  if (DataType.isMap(type)) return `map<${typeName(type.keyType)},${typeName(type.valueType)}>`;
  if (DataType.isStruct(type)) {
    return `struct<${type.children.map((field) => `${quoted(field.name)}:${typeName(field.type)}`).join(",")}>`;
  }
  const text = type.toString();
  for (const name of DISPLAY_NAMES) if (SIMPLE_TYPES.get(name)?.().toString() === text) return name;
  return text;
}
const DISPLAY_NAMES = [
  "boolean",
  "tinyint",
  "smallint",
  "int",
  "bigint",
  "float",
  "double",
  "string",
  "binary",
  "date",
  "timestamp",
  "timestamp_ntz",
  "time",
  "interval day to second",
  "void",
];

/** A name as DDL has it: in backticks where it would not be one word. */
function quoted(name: string): string {
  return /^[\p{L}\p{N}_$.-]+$/u.test(name) ? name : `\`${name.replaceAll("`", "``")}\``;
}

/** What DDL says of the length of a field's strings: `varchar(20)` is at most 20 characters (code points). */
export function lengthLimit(field: Field): { readonly type: string; readonly length: number } | undefined {
  const type = field.metadata.get(CHAR_TYPE);
  const length = /^(?:var)?char\((\d+)\)$/.exec(type ?? "")?.[1];
  return type === undefined || length === undefined ? undefined : { type, length: Number(length) };
}

/** A schema as JSON: `{ fields: [{ name, type, nullable }] }`, types as in DDL. */
export interface SchemaJson {
  readonly fields: readonly { readonly name: string; readonly type: string; readonly nullable: boolean }[];
}

export function schemaToJson(schema: Schema): SchemaJson {
  return {
    fields: schema.fields.map((field) => ({
      name: field.name,
      type: typeName(field.type),
      nullable: field.nullable,
    })),
  };
}

/** The DDL of a schema in JSON. */
export function toDdl({ fields }: SchemaJson): string {
  return fields
    .map(({ name, type, nullable }) => `${quoted(name)} ${type}${nullable ? "" : " NOT NULL"}`)
    .join(", ");
}

/** A type, with what Arrow's has no room for as metadata of its field. */
interface Typed {
  readonly type: DataType;
  readonly metadata?: Map<string, string>;
}

function fieldOf(name: string, { type, metadata }: Typed, nullable: boolean): Field {
  return new Field(name, type, nullable, metadata);
}

class DdlParser {
  readonly #ddl: string;
  #position = 0;
  /** Where the last name, type or number began. */
  #word = 0;

  constructor(ddl: string) {
    this.#ddl = ddl;
  }

  /** Fields up to `close`, which is consumed, or up to the end of the text. */
  fields(close: ">" | undefined): Field[] {
    const fields: Field[] = [];
    const names = new Set<string>();
    do {
      const name = this.#name();
      if (names.has(name)) this.#fail(`field "${name}" is there twice`, this.#word);
      names.add(name);
      this.#take(":");
      const typed = this.#type();
      const nullable = !this.#takeWord("not");
      if (!nullable && !this.#takeWord("null")) this.#fail("expected NULL after NOT");
      if (this.#takeWord("comment")) this.#match(/'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"/y, "a quoted comment");
      fields.push(fieldOf(name, typed, nullable));
    } while (this.#take(","));
    if (close !== undefined) this.#expect(close);
    else if (this.#rest() !== "") this.#fail('expected "," or the end');
    return fields;
  }

  #type(): Typed {
    const name = this.#match(/[a-z_]+/iy, "a type").toLowerCase();
    const start = this.#word;
    if (name === "varchar" || name === "char") return this.#string(name);
    return { type: this.#typeNamed(name, start) };
  }

  #typeNamed(name: string, start: number): DataType {
    switch (name) {
      case "decimal":
      case "dec":
      case "numeric":
        return this.#decimal();
      case "time":
        return this.#time(start);
      case "interval":
        if (!this.#takeWord("day") || !this.#takeWord("to") || !this.#takeWord("second")) {
          this.#fail("the only interval is INTERVAL DAY TO SECOND", start);
        }
        return new DurationMicrosecond();
      case "array": {
        this.#expect("<");
        const element = this.#type();
        this.#expect(">");
        return new List(fieldOf("element", element, true));
      }
      case "map": {
        this.#expect("<");
        const key = this.#type();
        this.#expect(",");
        const value = this.#type();
        this.#expect(">");
        const entries = new Struct<{ key: DataType; value: DataType }>([
          fieldOf("key", key, false),
          fieldOf("value", value, true),
        ]);
        return new Map_(new Field("entries", entries, false));
      }
      case "struct":
        this.#expect("<");
        return new Struct(this.fields(">"));
      default: {
        const simple = SIMPLE_TYPES.get(name);
        if (simple !== undefined) return simple();
        return this.#fail(
          `"${name}" is no type (${DISPLAY_NAMES.join(", ")}, decimal(p,s), array<…>, map<…,…>, struct<…>)`,
          start,
        );
      }
    }
  }

  #string(name: string): Typed {
    if (!this.#take("(")) return { type: new Utf8() };
    const length = this.#number();
    this.#expect(")");
    return { type: new Utf8(), metadata: new Map([[CHAR_TYPE, `${name}(${length})`]]) };
  }

  #time(start: number): DataType {
    if (this.#take("(")) {
      const precision = this.#number();
      this.#expect(")");
      // Arrow's type has no place for fewer, so they could not be held to.
      if (precision !== TIME_PRECISION)
        this.#fail(`time(${precision}) must be time(${TIME_PRECISION})`, start);
    }
    return new TimeNanosecond();
  }

  #decimal(): DataType {
    const start = this.#word;
    let precision = 10;
    let scale = 0;
    if (this.#take("(")) {
      precision = this.#number();
      if (this.#take(",")) scale = this.#number();
      this.#expect(")");
    }
    if (precision < 1 || precision > MAX_DECIMAL_PRECISION || scale > precision) {
      this.#fail(
        `decimal(${precision},${scale}) must have 1 to ${MAX_DECIMAL_PRECISION} digits and no more of them after the point`,
        start,
      );
    }
    return new Decimal(scale, precision, 128);
  }

  #name(): string {
    if (this.#rest().startsWith("`")) {
      return this.#match(/`((?:[^`]|``)+)`/y, "a name")
        .slice(1, -1)
        .replaceAll("``", "`");
    }
    return this.#match(/[\p{L}\p{N}_$.-]+/uy, "a field name");
  }

  #number(): number {
    return Number(this.#match(/\d+/y, "a number"));
  }

  #takeWord(word: string): boolean {
    const match = /^[a-z]+/i.exec(this.#rest());
    if (match?.[0].toLowerCase() !== word) return false;
    this.#position += word.length;
    return true;
  }

  #take(symbol: string): boolean {
    if (!this.#rest().startsWith(symbol)) return false;
    this.#position += symbol.length;
    return true;
  }

  #expect(symbol: string): void {
    if (!this.#take(symbol)) this.#fail(`expected "${symbol}"`);
  }

  #match(pattern: RegExp, what: string): string {
    this.#rest();
    this.#word = this.#position;
    pattern.lastIndex = this.#position;
    const match = pattern.exec(this.#ddl);
    if (match === null) return this.#fail(`expected ${what}`);
    this.#position = pattern.lastIndex;
    return match[0];
  }

  /** What is left, with the white space before it passed over. */
  #rest(): string {
    const blank = /\s*/y;
    blank.lastIndex = this.#position;
    blank.exec(this.#ddl);
    this.#position = blank.lastIndex;
    return this.#ddl.slice(this.#position);
  }

  #fail(problem: string, position: number = this.#position): never {
    throw new MillraceError(
      "SCHEMA_INVALID",
      `schema "${this.#ddl}": ${problem}, at character ${position + 1}`,
      {
        hint: 'Write Spark DDL, such as "id string NOT NULL, time timestamp, mag double", or give an Arrow Schema.',
      },
    );
  }
}
