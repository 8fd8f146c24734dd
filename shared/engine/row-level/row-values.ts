import { type Data, makeData, RecordBatch, Schema, Struct } from "apache-arrow";
import { type ColumnMatch, matchColumns } from "../../arrow/match-columns.ts";
import type { ErrorLocation } from "../../contract/errors.ts";
import { type Expression, literal } from "../../contract/write/predicates.ts";
import { type ComputedColumn, computedColumn } from "./computed-column.ts";
import { fieldAt, isNullable, joinedExpression, sideOf } from "./expressions.ts";

/** The schemas of the rows from which new rows are computed. */
export interface Sides {
  readonly target: Schema;
  /** The columns of a merge's source. */
  readonly source?: Schema | undefined;
  /** The joined rows, with a struct for each side. */
  readonly joined: Schema;
}

/** Computes new rows of a table, by Spark's rules of store assignment. */
export class RowValues {
  /** The columns of the table. One may only be null if the table and the value may be null. */
  readonly schema: Schema;
  readonly #computed: readonly ComputedColumn[];
  readonly #found: Schema;
  readonly #match: ColumnMatch;

  /**
   * `values` has an expression for each column of the table. Throws `FILTER_INVALID`,
   * `MERGE_INVALID` or `COLUMNS_NOT_MATCHED`.
   */
  constructor(table: Schema, values: readonly Expression[], sides: Sides, where: ErrorLocation) {
    const columns = table.fields.map((field, i) => {
      const value = values[i] ?? literal(null);
      const computed = computedColumn(sides.joined, joinedExpression(value), field);
      const nullable = isNullable(value, (one) => {
        const schema = sideOf(one) === "source" ? (sides.source ?? new Schema([])) : sides.target;
        return fieldAt(schema, one.attribute, `the new value of "${field.name}"`);
      });
      return { computed, field: field.clone({ type: computed.type, nullable }) };
    });
    this.#computed = columns.map(({ computed }) => computed);
    this.#found = new Schema(columns.map(({ field }) => field));
    this.#match = matchColumns(this.#found, table, "name", where);
    this.schema = this.#match.schema;
  }

  /** Returns the columns of the new rows. Throws `ROW_MISMATCH`. */
  of(joined: RecordBatch): readonly Data[] {
    const children = this.#computed.map((column) => column.of(joined));
    const type = new Struct(this.#found.fields);
    const data = makeData({ type, length: joined.numRows, nullCount: 0, children });
    return this.#match.apply(new RecordBatch(this.#found, data)).data.children as Data[];
  }
}
