import type { TaskContext } from "./context.ts";
import type { Filter } from "./filters.ts";
import type { Awaitable, InputPartition, RowSource } from "./stream-reader.ts";

/**
 * Reads what is there, once. Semantics of Spark's `DataSourceReader`. The reader that plans and the
 * readers that read are different objects, in different threads or machines; nothing travels
 * between them but the partitions.
 */
export abstract class DataSourceReader<P = InputPartition> {
  /**
   * Takes over what the source can do of the pipeline's `filter`s; gives those that it cannot,
   * which Millrace then does itself. Called in each reader, before `partitions` and before `read`,
   * if there are filters. Order of Spark: all of them have to hold.
   */
  pushFilters(filters: readonly Filter[]): Awaitable<Iterable<Filter>> {
    return filters;
  }
  /**
   * The slices of the data: together they hold each row once. One slice, `null`, unless it is
   * overridden.
   */
  partitions(): Awaitable<readonly P[]> {
    return [null as P];
  }
  /** The rows of one partition. */
  abstract read(partition: P, task: TaskContext): RowSource | PromiseLike<RowSource>;
}
