import type { RecordBatch } from "apache-arrow";
import { repartitioned, sortedWithin } from "./arrangement.ts";
import type { Configured, ConfiguredSource } from "./configured.ts";
import { checkFilter, conjunctsOf, type Filter } from "./filters.ts";
import { optional } from "./optional.ts";
import { mergeOptions } from "./options/names.ts";
import { checkStep, outOfOrder, type RowFunction, type RowStep } from "./row-steps.ts";
import type { RowFor, RowLike, RowOf, RowWith } from "./row-types.ts";
import type { SchemaLike } from "./schema-like.ts";
import type { Awaitable, NamedRow } from "./stream-reader.ts";
import type { SortOrder } from "./write/distribution.ts";

/**
 * A kind of source: `source` is its type for `options` and `row`, which `SourceFor` sets.
 * TypeScript has no other way to say "this class, for other rows".
 */
export interface SourceKind {
  /** The options of the source. */
  readonly options: unknown;
  /** The row that the next step gets. */
  readonly row: unknown;
  /** The type of the source. */
  readonly source: unknown;
}

/** The source of this kind, with these options, whose next step gets the row `R`. */
export type SourceFor<Kind extends SourceKind, Options, R> = (Kind & {
  readonly options: Options;
  readonly row: R;
})["source"];

/** Rows, as an iterable. */
export type Rows<T> = Iterable<T> | AsyncIterable<T>;

/**
 * The first part of a pipeline: its source, with options, and the steps that change its rows. Guide
 * to steps: docs/steps.md.
 */
export abstract class Source<
  Options extends object,
  R extends NamedRow = NamedRow,
  Kind extends SourceKind = SourceKind,
> {
  /** Name of the pipeline. */
  protected readonly name: string;
  /** The data source and the settings so far. */
  protected readonly source: ConfiguredSource;

  constructor(name: string, source: ConfiguredSource) {
    this.name = name;
    this.source = source;
  }

  /**
   * Sets options of the source. They replace options of the same name that were set before. Names
   * are case-insensitive.
   */
  options(options: Options): this {
    return this.with(withOptions(this.source, options));
  }

  /** Sets one option of the source. */
  option<K extends keyof Options & string>(name: K, value: Options[K]): this {
    return this.with(withOptions(this.source, { [name]: value }));
  }

  /**
   * Sets the schema of the source's rows. The data source's own `schema()` is then not called.
   * Throws `STEP_INVALID` after a step.
   */
  schema<const S extends SchemaLike>(schema: S): SourceFor<Kind, Options, RowOf<S>> {
    if (this.source.steps !== undefined) throw outOfOrder(".schema()", `.${lastOf(this.source.steps)}()`);
    return this.with({ schema }) as never;
  }

  /**
   * Sets the option `path` if it is given. The call is optional and exists because Spark has it.
   */
  load(path?: string): this {
    return path === undefined ? this : this.with(withOptions(this.source, { path }));
  }

  /**
   * Makes a row of each row. The function must return the same for the same row, also in another
   * process; it may be `async`. `schema` has all columns of the new rows; without it they have the
   * columns of the old ones. Throws `STEP_INVALID`. A run throws `STEP_FAILED` if the function
   * throws, and `ROW_MISMATCH` if a row does not fit.
   */
  map<const S extends SchemaLike>(
    fn: (row: R) => Awaitable<RowFor<S>>,
    schema: S,
  ): SourceFor<Kind, Options, RowOf<S>>;
  /** Like the other form, for rows with the same columns. */
  map(fn: (row: R) => Awaitable<RowLike<R>>): this;
  map(fn: RowFunction, schema?: SchemaLike): never {
    return this.#step({ kind: "map", fn, ...optional("schema", schema) });
  }

  /** Like `map`, but the function returns any number of rows, as an iterable. */
  flatMap<const S extends SchemaLike>(
    fn: (row: R) => Awaitable<Rows<RowFor<S>>>,
    schema: S,
  ): SourceFor<Kind, Options, RowOf<S>>;
  /** Like the other form, for rows with the same columns. */
  flatMap(fn: (row: R) => Awaitable<Rows<RowLike<R>>>): this;
  flatMap(fn: RowFunction, schema?: SchemaLike): never {
    return this.#step({ kind: "flatMap", fn, ...optional("schema", schema) });
  }

  /**
   * Keeps the rows for which the function returns true, or another value that counts as true. It
   * may be `async`. Throws `STEP_INVALID`.
   */
  filter(fn: (row: R) => unknown): this;
  /**
   * Keeps the rows for which all these filters hold, in addition to filters set before. (Spark:
   * `DataFrame.filter`.) In a batch pipeline, and before any step, the source applies the filters
   * that it supports; Millrace applies all others. Throws `FILTER_INVALID`.
   */
  filter(...filters: readonly Filter[]): this;
  filter(...given: readonly (Filter | ((row: R) => unknown))[]): this {
    const [first, ...more] = given;
    if (isFunction(first) && more.length === 0) return this.#step({ kind: "filter", fn: first });
    const filters = given.map(checkFilter).flatMap(conjunctsOf);
    return filters.length === 0 ? this : this.keep(filters);
  }

  /** Keeps these columns, in this order. (Spark: `DataFrame.select`.) Throws `STEP_INVALID`. */
  select<const K extends keyof R & string>(
    ...columns: readonly K[]
  ): SourceFor<Kind, Options, { readonly [C in K]: R[C] }> {
    return this.#step({ kind: "select", columns: [...columns] });
  }

  /**
   * Adds columns, or replaces those of the same name. Each function gets the row as it was before
   * this step. `schema` has the types of the columns; a column that it lacks is replaced and keeps
   * its type. (Spark: `DataFrame.withColumns`.) Throws `STEP_INVALID`.
   */
  withColumns<const S extends SchemaLike>(
    columns: Readonly<Record<string, (row: R) => unknown>>,
    schema: S,
  ): SourceFor<Kind, Options, RowWith<R, RowOf<S>>>;
  /** Like the other form, for columns that the rows have. */
  withColumns(columns: { readonly [C in keyof R]?: (row: R) => unknown }): this;
  withColumns(columns: object, schema?: SchemaLike): never {
    const functions = columns as Readonly<Record<string, RowFunction>>;
    return this.#step({ kind: "withColumns", columns: functions, ...optional("schema", schema) });
  }

  /**
   * Makes record batches of each record batch, column by column: the fast form of `map`. The batch
   * must not be changed. `schema` has all columns of the new batches; without it they have the
   * columns of the old ones. Throws `STEP_INVALID`. A run throws `STEP_FAILED` if the function
   * throws, and `BATCH_SCHEMA_MISMATCH` if a batch has other columns.
   */
  mapBatches<const S extends SchemaLike>(
    fn: (batch: RecordBatch) => Awaitable<RecordBatch | Rows<RecordBatch>>,
    schema: S,
  ): SourceFor<Kind, Options, RowOf<S>>;
  /** Like the other form, for batches with the same columns. */
  mapBatches(fn: (batch: RecordBatch) => Awaitable<RecordBatch | Rows<RecordBatch>>): this;
  mapBatches(fn: RowFunction, schema?: SchemaLike): never {
    return this.#step({ kind: "mapBatches", fn, ...optional("schema", schema) });
  }

  /**
   * Exchanges the rows between tasks: rows with equal values of the columns reach one task. Without
   * columns, rows are dealt out evenly. `numPartitions` is the number of tasks; without it the
   * amount of data decides. If the sink requires a distribution itself, that one holds. (Spark:
   * `DataFrame.repartition`.) Throws `ARRANGEMENT_INVALID`.
   */
  repartition(numPartitions: number, ...columns: readonly string[]): this;
  /** Like `repartition(numPartitions, ...columns)`; the amount of data decides about the number. */
  repartition(...columns: readonly string[]): this;
  repartition(...given: readonly (number | string)[]): this {
    return this.with({ arrangement: repartitioned(this.source.arrangement, "clustered", given) });
  }

  /**
   * Exchanges the rows between tasks, so that all rows of a task come before those of the next one.
   * (Spark: `DataFrame.repartitionByRange`.) Throws `ARRANGEMENT_INVALID`.
   */
  repartitionByRange(numPartitions: number, ...orders: readonly (string | SortOrder)[]): this;
  /** Like the other form; the amount of data decides about the number of tasks. */
  repartitionByRange(...orders: readonly (string | SortOrder)[]): this;
  repartitionByRange(...given: readonly (number | string | SortOrder)[]): this {
    return this.with({ arrangement: repartitioned(this.source.arrangement, "ordered", given) });
  }

  /**
   * Sorts the rows of each task. If the sink requires an order itself, that one holds. (Spark:
   * `DataFrame.sortWithinPartitions`.) Throws `ARRANGEMENT_INVALID`.
   */
  sortWithinPartitions(...orders: readonly (string | SortOrder)[]): this {
    return this.with({ arrangement: sortedWithin(this.source.arrangement, orders) });
  }

  /** Adds filters as a step. */
  protected keep(filters: readonly Filter[]): this {
    return this.with({ steps: [...(this.source.steps ?? []), { kind: "where", filters }] });
  }

  #step(step: RowStep): never {
    const { steps = [], arrangement } = this.source;
    // To filter rows before or after they are exchanged is the same.
    if (arrangement !== undefined && step.kind !== "filter")
      throw outOfOrder(`.${step.kind}()`, ".repartition() or .sortWithinPartitions()");
    return this.with({ steps: [...steps, checkStep(step)] }) as never;
  }

  /** What the source is made of. */
  get configured(): ConfiguredSource {
    return this.source;
  }

  /** Returns a copy of the source with these settings changed. */
  protected with(change: Partial<ConfiguredSource>): this {
    const made = this.constructor as new (name: string, source: ConfiguredSource) => this;
    return new made(this.name, { ...this.source, ...change });
  }
}

/** Returns the part of a pipeline with these options set. */
export function withOptions<C extends Configured>(configured: C, options: object): C {
  return { ...configured, options: mergeOptions(configured.options, options) };
}

function lastOf(steps: readonly RowStep[]): string {
  const kind = steps.at(-1)?.kind ?? "";
  return kind === "where" ? "filter" : kind;
}

/** True for a function, but not for a class: a filter whose `new` is forgotten. */
function isFunction(value: unknown): value is RowFunction {
  return typeof value === "function" && !String(value).startsWith("class");
}
