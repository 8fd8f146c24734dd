import type { NamedRow } from "./stream-reader.ts";

/*
 * The types of rows, from a schema that is written as a literal. What these types do not understand
 * is `unknown`, and a schema that is no literal makes a `NamedRow`.
 */

/**
 * The row that a step gets, from the DDL of its schema: `RowOf<"id bigint NOT NULL, name string">`
 * is `{ readonly id: bigint; readonly name: string | null }`. `NamedRow` if the schema is no
 * literal.
 */
export type RowOf<S> = S extends string
  ? FieldsOf<S> extends infer F extends readonly Parsed[]
    ? {
        readonly [P in F[number] as P["name"]]: P["isNullable"] extends true ? P["value"] | null : P["value"];
      }
    : NamedRow
  : NamedRow;

/**
 * The row that a step may return for a schema: an object with a value for each column, or an array
 * in the order of the columns.
 */
export type RowFor<S> = S extends string
  ? FieldsOf<S> extends infer F extends readonly Parsed[]
    ?
        | {
            readonly [P in F[number] as P["name"]]: P["isNullable"] extends true
              ? GivenFor<P["type"]> | null
              : GivenFor<P["type"]>;
          }
        | readonly unknown[]
    : NamedRow | readonly unknown[]
  : NamedRow | readonly unknown[];

/** A row that fits the columns of `R`: an object with all of them, or an array in their order. */
export type RowLike<R> = { readonly [K in keyof R]: unknown } | readonly unknown[];

/** A row with further columns, or with other types of them. */
export type RowWith<R, Added> = {
  readonly [K in keyof R | keyof Added]: K extends keyof Added ? Added[K] : K extends keyof R ? R[K] : never;
};

/** A column of a parsed schema: its name, its type as text, and what a step sees of it. */
interface Parsed {
  readonly name: string;
  readonly type: string;
  readonly value: unknown;
  readonly isNullable: boolean;
}

/** The columns of a literal; `undefined` for another string, or one with quotes or backticks. */
type FieldsOf<S extends string> = string extends S
  ? undefined
  : S extends `${string}${"'" | '"' | "`"}${string}`
    ? undefined
    : ParsedAll<SplitOuter<S>>;

type ParsedAll<
  Texts extends readonly string[],
  Done extends readonly Parsed[] = [],
> = Texts extends readonly [infer First extends string, ...infer Rest extends readonly string[]]
  ? ParsedAll<Rest, readonly [...Done, ParsedField<Trim<First>>]>
  : Done;

type ParsedField<S extends string> = S extends `${infer Name} ${infer Type}`
  ? Typed<TrimEnd<Name>, Lowercase<Trim<Type>>>
  : S extends `${infer Name}:${infer Type}`
    ? Typed<Name, Lowercase<Trim<Type>>>
    : Typed<string, "">;

type Typed<Name extends string, Type extends string> = Name extends `${infer Before}:${infer After}`
  ? After extends ""
    ? Typed<Before, Type>
    : Typed<Before, `${Lowercase<After>} ${Type}`>
  : Type extends `${infer Plain} not null${string}`
    ? { name: Name; type: Trim<Plain>; value: ValueOf<Trim<Plain>>; isNullable: false }
    : { name: Name; type: Type; value: ValueOf<Type>; isNullable: true };

interface SimpleValues {
  boolean: boolean;
  tinyint: number;
  byte: number;
  smallint: number;
  short: number;
  int: number;
  integer: number;
  bigint: bigint;
  long: bigint;
  float: number;
  real: number;
  double: number;
  decimal: string;
  dec: string;
  numeric: string;
  string: string;
  varchar: string;
  char: string;
  binary: Uint8Array;
  date: string;
  timestamp: string;
  timestamp_ltz: string;
  timestamp_ntz: string;
  time: string;
  "interval day to second": string;
  void: null;
}

/** What a step sees of a type. */
type ValueOf<Type extends string> = Type extends keyof SimpleValues
  ? SimpleValues[Type]
  : Type extends `${infer Word}(${string}`
    ? Trim<Word> extends keyof SimpleValues
      ? SimpleValues[Trim<Word>]
      : unknown
    : Type extends `array<${infer Item}>`
      ? readonly (ValueOf<Trim<Item>> | null)[]
      : unknown;

/** What a step may return for a type: docs/rows.md. */
type GivenFor<Type extends string> =
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

type Blank = " " | "\n" | "\t" | "\r";
type TrimStart<S extends string> = S extends `${Blank}${infer Rest}` ? TrimStart<Rest> : S;
type TrimEnd<S extends string> = S extends `${infer Rest}${Blank}` ? TrimEnd<Rest> : S;
type Trim<S extends string> = TrimStart<TrimEnd<S>>;

/** Splits at the commas that are in no brackets. */
type SplitOuter<
  S extends string,
  Open extends string = "",
  Done extends readonly string[] = [],
> = S extends `${infer Part},${infer Rest}`
  ? IsBalanced<`${Open}${Part}`> extends true
    ? SplitOuter<Rest, "", readonly [...Done, `${Open}${Part}`]>
    : SplitOuter<Rest, `${Open}${Part},`, Done>
  : readonly [...Done, `${Open}${S}`];

type IsBalanced<S extends string> = CountOf<S, "<" | "("> extends CountOf<S, ">" | ")"> ? true : false;

type CountOf<
  S extends string,
  Char extends string,
  Found extends readonly 0[] = [],
> = S extends `${infer First}${infer Rest}`
  ? CountOf<Rest, Char, First extends Char ? [...Found, 0] : Found>
  : Found["length"];
