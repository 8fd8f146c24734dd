import type { Schema } from "apache-arrow";
import type { DataSourceReader } from "../contract/batch-reader.ts";
import type { TaskContext } from "../contract/context.ts";
import { type ErrorLocation, toMillraceError } from "../contract/errors.ts";
import type { Filter } from "../contract/filters.ts";
import { DataSourceStreamReader, type RowSource } from "../contract/stream-reader.ts";
import { checkFilters, filtered } from "./filters.ts";

/** How many batches a pipeline has planned: the offsets of one that reads batches. */
type BatchCount = { readonly batches: number };

/** A reader of batches as one of a stream that always has one more batch: everything that is there. */
export class BatchPlanner extends DataSourceStreamReader<BatchCount, unknown> {
  readonly #reader: DataSourceReader<unknown>;
  readonly #schema: Schema;
  readonly #filters: readonly Filter[];
  readonly #where: ErrorLocation;

  constructor(
    reader: DataSourceReader<unknown>,
    schema: Schema,
    filters: readonly Filter[],
    where: ErrorLocation,
  ) {
    super();
    this.#reader = reader;
    this.#schema = schema;
    this.#filters = filters;
    this.#where = where;
  }

  override initialOffset(): BatchCount {
    return { batches: 0 };
  }

  override latestOffset({ batches }: BatchCount): BatchCount {
    return { batches: batches + 1 };
  }

  override async partitions(): Promise<readonly unknown[]> {
    await this.#pushFilters();
    return await this.#reader.partitions();
  }

  override async read(partition: unknown, task: TaskContext): Promise<RowSource> {
    const rest = await this.#pushFilters();
    const rows = await this.#reader.read(partition, task);
    return rest.length === 0 ? rows : filtered(this.#schema, rows, rest, this.#where);
  }

  /** Gives what the source leaves to do. */
  async #pushFilters(): Promise<readonly Filter[]> {
    if (this.#filters.length === 0) return [];
    checkFilters(this.#schema, this.#filters);
    try {
      return [...(await this.#reader.pushFilters(this.#filters))];
    } catch (error) {
      throw toMillraceError(error, "SOURCE_FAILED", "pushFilters() failed", this.#where);
    }
  }
}
