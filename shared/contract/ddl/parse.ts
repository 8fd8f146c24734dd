import {
  type DataType,
  Decimal,
  DurationMicrosecond,
  Field,
  List,
  Map_,
  Schema,
  Struct,
  TimeNanosecond,
  Utf8,
} from "apache-arrow";
import { MillraceError } from "../errors.ts";
import { DISPLAY_NAMES } from "./print.ts";
import { CHAR_TYPE, SIMPLE_TYPES } from "./types.ts";

const MAX_DECIMAL_PRECISION = 38;
/** Fractional digits of Spark's `time` type if the DDL does not say how many. */
const TIME_PRECISION = 6;

/**
 * Parses Spark DDL such as `"id string NOT NULL, time timestamp, mag double, tags array<string>"`
 * into an Arrow schema. Field names are case-sensitive and may be quoted with backticks; type names
 * are case-insensitive. Throws `SCHEMA_INVALID` with the position of the problem.
 */
export function parseDdl(ddl: string): Schema {
  const parser = new DdlParser(ddl);
  return new Schema(parser.fields(undefined));
}

/**
 * A parsed type. `metadata` holds what the Arrow type cannot express, such as the length of
 * `varchar(20)`; it becomes the metadata of the field.
 */
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
  /** Position at which the last name, type or number began, for error messages. */
  #word = 0;

  constructor(ddl: string) {
    this.#ddl = ddl;
  }

  /** Parses fields up to `close`, which it consumes, or up to the end of the text. */
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
      // Arrow's time type cannot store a smaller precision, so the limit would be lost.
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

  /** Skips white space and returns the text that is not parsed yet. */
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
