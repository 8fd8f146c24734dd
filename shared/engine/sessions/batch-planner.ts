import type { Schema } from "apache-arrow";
import type { DataSourceReader } from "../../contract/batch-reader.ts";
import type { TaskContext } from "../../contract/context.ts";
import { type ErrorLocation, toMillraceError } from "../../contract/errors.ts";
import type { Filter } from "../../contract/filters.ts";
import {
  DataSourceStreamReader,
  type RowSource,
  type SupportsBadRows,
} from "../../contract/stream-reader.ts";
import { checkFilters, filterRows } from "../filters.ts";

/** Offsets of a batch pipeline: how many batches it has planned. */
type BatchCount = { readonly batches: number };

/**
 * Adapts a batch reader to the stream interface: a stream that always has one more batch, with all
 * existing data.
 */
export class BatchPlanner extends DataSourceStreamReader<BatchCount, unknown> {
  readonly #reader: DataSourceReader<unknown>;
  readonly #schema: Schema;
  readonly #filters: readonly Filter[];
  readonly #where: ErrorLocation;
  readonly #watchRows: (rows: RowSource) => RowSource;

  /** `watchRows` wraps the rows that the source returns, before filters are applied. */
  constructor(
    reader: DataSourceReader<unknown>,
    schema: Schema,
    filters: readonly Filter[],
    where: ErrorLocation,
    watchRows: (rows: RowSource) => RowSource = (rows) => rows,
  ) {
    super();
    this.#reader = reader;
    this.#schema = schema;
    this.#filters = filters;
    this.#where = where;
    this.#watchRows = watchRows;
  }

  override initialOffset(): BatchCount {
    return { batches: 0 };
  }

  override latestOffset({ batches }: BatchCount): BatchCount {
    return { batches: batches + 1 };
  }

  override async partitions(): Promise<readonly unknown[]> {
    await this.#pushFilters({ retryable: false });
    return await this.#reader.partitions();
  }

  override async read(partition: unknown, task: TaskContext): Promise<RowSource> {
    const rest = await this.#pushFilters({ retryable: true });
    const rows = await this.#reader.read(partition, task);
    return rest.length === 0
      ? rows
      : filterRows(this.#schema, this.#watchRows(rows), rest, this.#where, task.badRows);
  }

  /** Present if the reader can make rows of what was no row before. */
  get readBadRows(): SupportsBadRows["readBadRows"] | undefined {
    const reader = this.#reader as Partial<SupportsBadRows>;
    return reader.readBadRows?.bind(reader);
  }

  /** Passes the filters to the reader and returns those that Millrace must apply. */
  async #pushFilters({ retryable }: { readonly retryable: boolean }): Promise<readonly Filter[]> {
    if (this.#filters.length === 0) return [];
    checkFilters(this.#schema, this.#filters);
    try {
      const rest = [...(await this.#reader.pushFilters(this.#filters))];
      checkFilters(this.#schema, rest);
      return rest;
    } catch (error) {
      throw toMillraceError(error, "SOURCE_FAILED", "pushFilters() failed", this.#where, retryable);
    }
  }
}
