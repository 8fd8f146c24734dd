/*
 * What types understand of a DDL: its columns, and the values that a step sees. They are one
 * namespace of the package, `DdlTypes`.
 */

/** A column of a parsed schema: its name, its type as text, and what a step sees of it. */
export interface Parsed {
  /** Its name. */
  readonly name: string;
  /** Its type in lower case. */
  readonly type: string;
  /** What a step sees of it, unless it is null. */
  readonly value: unknown;
  /** False for `NOT NULL`. */
  readonly isNullable: boolean;
}

/** The columns of a literal; `undefined` for another string, or one with quotes or backticks. */
export type FieldsOf<S extends string> = string extends S
  ? undefined
  : S extends `${string}${"'" | '"' | "`"}${string}`
    ? undefined
    : ParsedAll<SplitOuter<S>>;

/** Parses each text as a column. */
export type ParsedAll<
  Texts extends readonly string[],
  Done extends readonly Parsed[] = [],
> = Texts extends readonly [infer First extends string, ...infer Rest extends readonly string[]]
  ? ParsedAll<Rest, readonly [...Done, ParsedField<Trim<First>>]>
  : Done;

/** Parses one column: `id bigint NOT NULL`, or `id: bigint`. */
export type ParsedField<S extends string> = S extends `${infer Name} ${infer Type}`
  ? Typed<TrimEnd<Name>, Lowercase<Trim<Type>>>
  : S extends `${infer Name}:${infer Type}`
    ? Typed<Name, Lowercase<Trim<Type>>>
    : Typed<string, "">;

/** A column with its type, and whether it may be null. */
export type Typed<Name extends string, Type extends string> = Name extends `${infer Before}:${infer After}`
  ? After extends ""
    ? Typed<Before, Type>
    : Typed<Before, `${Lowercase<After>} ${Type}`>
  : Type extends `${infer Plain} not null${string}`
    ? { name: Name; type: Trim<Plain>; value: ValueOf<Trim<Plain>>; isNullable: false }
    : { name: Name; type: Type; value: ValueOf<Type>; isNullable: true };

/** What a step sees of a type that has a name only. */
export type SimpleValue<Name extends string> = Name extends
  | "string"
  | "varchar"
  | "char"
  | "decimal"
  | "dec"
  | "numeric"
  | "date"
  | "timestamp"
  | "timestamp_ltz"
  | "timestamp_ntz"
  | "time"
  | "interval day to second"
  ? string
  : Name extends "tinyint" | "byte" | "smallint" | "short" | "int" | "integer" | "float" | "real" | "double"
    ? number
    : Name extends "bigint" | "long"
      ? bigint
      : Name extends "boolean"
        ? boolean
        : Name extends "binary"
          ? Uint8Array
          : Name extends "void"
            ? null
            : unknown;

/** What a step sees of a type. */
export type ValueOf<Type extends string> = Type extends `array<${infer Item}>`
  ? readonly (ValueOf<Trim<Item>> | null)[]
  : Type extends `${infer Word}(${string}`
    ? SimpleValue<Trim<Word>>
    : SimpleValue<Type>;

/** What a step may return for a type: docs/rows.md. */
export type GivenFor<Type extends string> =
  ValueOf<Type> extends infer V
    ? Type extends "boolean" | "string"
      ? V
      : [V] extends [bigint | number]
        ? bigint | number
        : Type extends `${"decimal" | "dec" | "numeric"}${string}`
          ? string | number | bigint
          : Type extends `${"varchar" | "char"}${string}`
            ? string
            : Type extends "binary"
              ? Uint8Array
              : unknown
    : never;

/** White space. */
export type Blank = " " | "\n" | "\t" | "\r";
/** Without white space at the start. */
export type TrimStart<S extends string> = S extends `${Blank}${infer Rest}` ? TrimStart<Rest> : S;
/** Without white space at the end. */
export type TrimEnd<S extends string> = S extends `${infer Rest}${Blank}` ? TrimEnd<Rest> : S;
/** Without white space at both ends. */
export type Trim<S extends string> = TrimStart<TrimEnd<S>>;

/** Splits at the commas that are in no brackets. */
export type SplitOuter<
  S extends string,
  Open extends string = "",
  Done extends readonly string[] = [],
> = S extends `${infer Part},${infer Rest}`
  ? IsBalanced<`${Open}${Part}`> extends true
    ? SplitOuter<Rest, "", readonly [...Done, `${Open}${Part}`]>
    : SplitOuter<Rest, `${Open}${Part},`, Done>
  : readonly [...Done, `${Open}${S}`];

/** True if each bracket is closed. */
export type IsBalanced<S extends string> = CountOf<S, "<" | "("> extends CountOf<S, ">" | ")"> ? true : false;

/** The number of these characters in a text. */
export type CountOf<
  S extends string,
  Char extends string,
  Found extends readonly 0[] = [],
> = S extends `${infer First}${infer Rest}`
  ? CountOf<Rest, Char, First extends Char ? [...Found, 0] : Found>
  : Found["length"];
