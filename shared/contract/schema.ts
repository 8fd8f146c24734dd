import {
  Binary,
  Bool,
  DataType,
  DateDay,
  Decimal,
  Field,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  List,
  Map_,
  Schema,
  Struct,
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
  }),
);
const MAX_DECIMAL_PRECISION = 38;

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
  const quoted = schemaToJson(given as Schema).fields.map(
    ({ name, type, nullable }) => `\`${name.replaceAll("`", "``")}\` ${type}${nullable ? "" : " NOT NULL"}`,
  );
  return parseDdl(quoted.join(", "));
}

/** The DDL type name of an Arrow type, or Arrow's own name where DDL has none. */
export function typeName(type: DataType): string {
  if (DataType.isDecimal(type)) return `decimal(${type.precision},${type.scale})`;
  if (DataType.isList(type)) return `array<${typeName(type.valueType)}>`;
  if (DataType.isMap(type)) return `map<${typeName(type.keyType)},${typeName(type.valueType)}>`;
  if (DataType.isStruct(type)) {
    return `struct<${type.children.map((field) => `${field.name}:${typeName(field.type)}`).join(",")}>`;
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
];

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
      const type = this.#type();
      const nullable = !this.#takeWord("not");
      if (!nullable && !this.#takeWord("null")) this.#fail("expected NULL after NOT");
      if (this.#takeWord("comment")) this.#match(/'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"/y, "a quoted comment");
      fields.push(new Field(name, type, nullable));
    } while (this.#take(","));
    if (close !== undefined) this.#expect(close);
    else if (this.#rest() !== "") this.#fail('expected "," or the end');
    return fields;
  }

  #type(): DataType {
    const name = this.#match(/[a-z_]+/iy, "a type").toLowerCase();
    const simple = SIMPLE_TYPES.get(name);
    if (simple !== undefined) return simple();
    switch (name) {
      case "decimal":
      case "dec":
      case "numeric":
        return this.#decimal();
      case "varchar":
      case "char":
        if (this.#take("(")) {
          this.#number();
          this.#expect(")");
        }
        return new Utf8();
      case "array": {
        this.#expect("<");
        const element = this.#type();
        this.#expect(">");
        return new List(new Field("element", element, true));
      }
      case "map": {
        this.#expect("<");
        const key = this.#type();
        this.#expect(",");
        const value = this.#type();
        this.#expect(">");
        const entries = new Struct<{ key: DataType; value: DataType }>([
          new Field("key", key, false),
          new Field("value", value, true),
        ]);
        return new Map_(new Field("entries", entries, false));
      }
      case "struct":
        this.#expect("<");
        return new Struct(this.fields(">"));
      default:
        return this.#fail(
          `"${name}" is no type (${DISPLAY_NAMES.join(", ")}, decimal(p,s), array<…>, map<…,…>, struct<…>)`,
          this.#word,
        );
    }
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
