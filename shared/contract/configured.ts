import type { Arrangement } from "./arrangement.ts";
import type { DataSourceClass } from "./data-source.ts";
import type { Filter } from "./filters.ts";
import type { RowStep } from "./row-steps.ts";
import type { SchemaLike } from "./schema-like.ts";

/** A data source class together with the options that the pipeline sets. */
export interface Configured {
  /** The data source class. */
  readonly dataSource: DataSourceClass<never>;
  /** The options as the pipeline sets them, not validated. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** The source of a pipeline. */
export interface ConfiguredSource extends Configured {
  /** The schema set by `.schema()`, which replaces the data source's own. */
  readonly schema?: SchemaLike;
  /** The filters set by `.filter()` before any step. Only batch pipelines have filters. */
  readonly filters?: readonly Filter[];
  /** What tasks do with the rows that they read, in this order. */
  readonly steps?: readonly RowStep[];
  /** How tasks exchange rows, set by `.repartition()` and the like. */
  readonly arrangement?: Arrangement;
}
