import type { FieldsOf, GivenFor, Parsed } from "./ddl/ddl-types.ts";
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
