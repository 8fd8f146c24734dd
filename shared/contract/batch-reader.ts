import type { TaskContext } from "./context.ts";
import type { Filter } from "./filters.ts";
import type { Awaitable, InputPartition, RowSource } from "./stream-reader.ts";

/**
 * Reads all data of a source in one batch. Works like Spark's `DataSourceReader`. One instance
 * plans the partitions and other instances read them, in other threads or on other machines, so
 * only the partitions pass from the planner to the readers.
 */
export abstract class DataSourceReader<P = InputPartition> {
  /**
   * Receives the filters of the pipeline and returns those that the source cannot apply itself;
   * Millrace applies the returned ones. All filters must hold for a row. If the pipeline has
   * filters, every instance gets this call before `partitions` or `read`, as in Spark.
   */
  pushFilters(filters: readonly Filter[]): Awaitable<Iterable<Filter>> {
    return filters;
  }
  /**
   * Returns the slices of the data, which together contain each row exactly once. The default is a
   * single slice, `null`.
   */
  partitions(): Awaitable<readonly P[]> {
    return [null as P];
  }
  /** Returns the rows of one partition. */
  abstract read(partition: P, task: TaskContext): RowSource | PromiseLike<RowSource>;
}
