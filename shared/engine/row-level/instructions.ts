import { type Data, RecordBatch, type Struct } from "apache-arrow";
import { concatData } from "../../arrow/concat.ts";
import { matcherOf, type RowMatcher } from "../../arrow/predicates/row-matcher.ts";
import { takeRows } from "../../arrow/take.ts";
import type { Predicate } from "../../contract/write/predicates.ts";
import { joinedExpression } from "./expressions.ts";
import { OPERATION, type OperationCode, type OperationLayout } from "./operation-rows.ts";
import type { RowValues, Sides } from "./row-values.ts";

/** One operation row for each row that an instruction acts on. */
export interface Output {
  readonly operation: OperationCode;
  /** Index of the name under which the row counts; -1 if it does not count. */
  readonly counted: number;
  /** The new row. Without it, only columns that are row ids have a value. */
  readonly row?: RowValues;
  /** True if the operation row has the ids of the old row. */
  readonly hasId: boolean;
  /** The metadata columns of the old row that are preserved; the others are null. */
  readonly metadata: ReadonlySet<string>;
}

/** What happens to the rows for which a condition holds. Without outputs, they are left out. */
export interface Instruction {
  readonly when?: Predicate | undefined;
  readonly outputs: readonly Output[];
}

/** Rows of a record batch, and the instructions of which the first that fits acts on each. */
export interface Assigned {
  readonly rows: readonly number[];
  readonly instructions: Instructions;
}

interface Piece {
  readonly batch: RecordBatch;
  /** For each operation row, the joined row that it is made of. */
  readonly origins: readonly number[];
}

/** A list of instructions over joined rows. */
export class Instructions {
  readonly #steps: readonly {
    readonly matcher: RowMatcher | undefined;
    readonly outputs: readonly Output[];
  }[];
  readonly #layout: OperationLayout;
  readonly #columns: TargetColumns;

  /** Throws `FILTER_INVALID`. */
  constructor(list: readonly Instruction[], layout: OperationLayout, sides: Sides) {
    this.#layout = layout;
    this.#columns = new TargetColumns(sides);
    this.#steps = list.map(({ when, outputs }) => ({
      outputs,
      matcher: when === undefined ? undefined : matcherOf(sides.joined, [joinedExpression(when)]),
    }));
  }

  /** True if no row causes anything. */
  get isEmpty(): boolean {
    return this.#steps.length === 0;
  }

  /** Returns the operation rows of these rows. */
  pieces(joined: RecordBatch, rows: readonly number[]): readonly Piece[] {
    let rest = rows;
    return this.#steps.flatMap(({ matcher, outputs }) => {
      const test = matcher?.on(joined);
      const acted = test === undefined ? rest : rest.filter((row) => test(row) === true);
      if (test === undefined) rest = [];
      else rest = rest.filter((row) => test(row) !== true);
      if (acted.length === 0) return [];
      const taken = acted.length === joined.numRows ? joined : takeRows(joined, acted);
      return outputs.map((output) => this.#piece(taken, acted, output));
    });
  }

  #piece(taken: RecordBatch, origins: readonly number[], output: Output): Piece {
    const { operation, counted, row, hasId, metadata } = output;
    const { numRows: length } = taken;
    if (operation === OPERATION.none) {
      // One row counts them all.
      const batch = this.#layout.batch({ operation, counted, length: 1, count: length });
      return { batch, origins: origins.slice(0, 1) };
    }
    const layout = this.#layout;
    const old = (name: string) => this.#columns.of(taken, name);
    const ids = new Set(layout.id?.map(([name]) => name));
    const batch = layout.batch({
      operation,
      counted,
      length,
      row: row?.of(taken) ?? layout.row.map(([name]) => (ids.has(name) ? old(name) : undefined)),
      id: hasId ? layout.id?.map(([name]) => old(name)) : undefined,
      metadata: layout.metadata?.map(([name]) => (metadata.has(name) ? old(name) : undefined)),
    });
    return { batch, origins };
  }
}

/** Reads columns of the table's row in joined rows. */
class TargetColumns {
  readonly #indexes: ReadonlyMap<string, number>;

  constructor({ target }: Sides) {
    this.#indexes = new Map(target.fields.map(({ name }, i) => [name, i]));
  }

  of(joined: RecordBatch, name: string): Data | undefined {
    const index = this.#indexes.get(name);
    return index === undefined ? undefined : (joined.data.children[0]?.children[index] as Data);
  }
}

/**
 * Returns the operation rows of a batch of joined rows, in the order of these, or `undefined` if
 * there are none.
 */
export function operationRows(
  joined: RecordBatch,
  assigned: readonly Assigned[],
  layout: OperationLayout,
): RecordBatch | undefined {
  const pieces = assigned.flatMap(({ rows, instructions }) => instructions.pieces(joined, rows));
  const [first] = pieces;
  if (first === undefined || pieces.length === 1) return first?.batch;
  const origins = pieces.flatMap((piece) => piece.origins);
  const order = origins
    .map((_, i) => i)
    .sort((a, b) => (origins[a] as number) - (origins[b] as number) || a - b);
  const type = first.batch.data.type as Struct;
  const data = concatData(
    type,
    pieces.map(({ batch }) => batch.data as Data),
  ) as Data<Struct>;
  return takeRows(new RecordBatch(layout.schema, data), order);
}
