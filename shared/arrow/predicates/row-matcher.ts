import type { Data, RecordBatch, Schema } from "apache-arrow";
import type { Filter } from "../../contract/filters.ts";
import type { Row } from "../../contract/stream-reader.ts";
import { KIND_OF_NAME, predicateOf } from "../../contract/write/convert-filters.ts";
import type { Predicate } from "../../contract/write/predicates.ts";
import { recordBatchOf } from "../record-batches.ts";
import { Compiler, type LabelOf } from "./compile.ts";
import type { Condition, Test } from "./nodes.ts";
import { type Coverage, coverageOf, type Statistics } from "./ranges.ts";

/**
 * Decides which rows match predicates, in SQL's three-valued logic: true, false, or null for
 * unknown. A row matches only if all predicates are true for it.
 */
export interface RowMatcher {
  /** Returns the result for one row. Throws `ROW_MISMATCH` if it does not have the schema. */
  holds(row: Row): boolean | null;
  /** Returns the result for each row of a record batch, by the row's index. */
  on(batch: RecordBatch): (row: number) => boolean | null;
  /**
   * Returns the indexes of the rows that match, and of all others, both in ascending order.
   */
  split(batch: RecordBatch): { readonly matching: readonly number[]; readonly others: readonly number[] };
  /**
   * Returns if all, some or none of the rows with these statistics match. `all` and `none` are
   * certain; `some` is also the answer if the statistics do not tell. Of no rows none match.
   */
  coverage(statistics: Statistics): Coverage;
}

/**
 * Returns a matcher of rows with this schema. Throws `FILTER_INVALID` if a predicate names a column
 * that does not exist, or compares it with a value that the column cannot hold.
 */
export function matcherOf(schema: Schema, predicates: readonly Predicate[]): RowMatcher {
  return matcher(schema, predicates, (name) => name);
}

/** Like `matcherOf`, for filters. */
export function filterMatcher(schema: Schema, filters: readonly Filter[]): RowMatcher {
  return matcher(schema, filters.map(predicateOf), (name) => KIND_OF_NAME[name] ?? name);
}

function matcher(schema: Schema, predicates: readonly Predicate[], labelOf: LabelOf): RowMatcher {
  return new CompiledMatcher(schema, new Compiler(schema, labelOf).conditions(predicates));
}

class CompiledMatcher implements RowMatcher {
  readonly #schema: Schema;
  readonly #condition: Condition;

  constructor(schema: Schema, condition: Condition) {
    this.#schema = schema;
    this.#condition = condition;
  }

  holds(row: Row): boolean | null {
    return this.on(recordBatchOf(this.#schema, [row]))(0);
  }

  on(batch: RecordBatch): Test {
    return this.#condition.bind(batch.data as Data);
  }

  split(batch: RecordBatch) {
    const test = this.on(batch);
    const matching: number[] = [];
    const others: number[] = [];
    for (let row = 0; row < batch.numRows; row++) (test(row) === true ? matching : others).push(row);
    return { matching, others };
  }

  coverage(statistics: Statistics): Coverage {
    return statistics.rowCount === 0 ? "none" : coverageOf(this.#condition.outcomes(statistics));
  }
}
