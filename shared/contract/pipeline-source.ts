import { repartitioned, sortedWithin } from "./arrangement.ts";
import type { Configured, ConfiguredSource } from "./configured.ts";
import { mergeOptions } from "./options/names.ts";
import type { SchemaLike } from "./schema-like.ts";
import type { SortOrder } from "./write/distribution.ts";

/** The first part of a pipeline: its source, with options. */
export abstract class Source<Options extends object> {
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

  /** Sets the schema of the rows. The data source's own `schema()` is then not called. */
  schema(schema: SchemaLike): this {
    return this.with({ schema });
  }

  /**
   * Sets the option `path` if it is given. The call is optional and exists because Spark has it.
   */
  load(path?: string): this {
    return path === undefined ? this : this.with(withOptions(this.source, { path }));
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
