import type { RecordBatch, Schema } from "apache-arrow";
import { sortKeysOf } from "../../arrow/sort-keys.ts";
import { takeRows } from "../../arrow/take.ts";
import { valueKeys } from "../../arrow/value-keys.ts";
import type { TaskContext } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import { asc } from "../../contract/write/distribution.ts";
import { OPERATION } from "../row-level/operation-rows.ts";
import type { RowTransform } from "../sessions/engine-write.ts";
import type { SortingOptions } from "../shuffle/sorted-rows.ts";
import { ChangeRows, columnOf } from "./change-rows.ts";
import { ADDED, type MergePlan } from "./merge-plan.ts";
import { sortedChanges } from "./sort-changes.ts";

/** How many changes of a task the table does not get, and why. */
export interface ChangeCounts {
  /** Changes that a later one of their key in the batch replaces. */
  superseded: number;
  /** Changes that came again with the same sequence. */
  repeated: number;
}

/** A change that is compared with the one after it. */
interface Held {
  readonly batch: RecordBatch;
  readonly row: number;
  readonly key: Uint8Array;
  readonly sequence: Uint8Array;
}

/**
 * Makes operation rows of changes: for SCD type 1 only the last change of each key, for type 2 all
 * of them in the order of their sequences. It gets rows of the stream, or changes that tasks have
 * exchanged by key.
 */
export class LastChanges implements RowTransform {
  readonly schema: Schema;
  readonly counts: ChangeCounts = { superseded: 0, repeated: 0 };
  readonly #plan: MergePlan;
  readonly #changes: ChangeRows;

  constructor(plan: MergePlan) {
    this.#plan = plan;
    this.#changes = new ChangeRows(plan);
    this.schema = plan.layout.schema;
  }

  /** Throws `SEQUENCE_NOT_UNIQUE`, and the errors of `ChangeRows`. */
  async *apply(
    batches: AsyncIterable<RecordBatch>,
    task: Pick<TaskContext, "partitionId">,
    sorting: SortingOptions,
  ): AsyncGenerator<RecordBatch> {
    const changes = sortedChanges(this.#changes.apply(batches, task), this.#plan, sorting);
    let held: Held | undefined;
    for await (const batch of changes) {
      const reduced = this.#reduced(batch, held);
      held = reduced.held;
      for (const [from, rows] of Map.groupBy(reduced.staying, (each) => each.batch))
        yield this.#operations(from, rows);
    }
    if (held !== undefined) yield this.#operations(held.batch, [held]);
  }

  /** Returns the changes that stay, and the last one, which the next one may replace. */
  #reduced(
    batch: RecordBatch,
    before: Held | undefined,
  ): { readonly staying: readonly Held[]; readonly held: Held | undefined } {
    const staying: Held[] = [];
    let held = before;
    for (const next of changesIn(batch, this.#plan)) {
      const stays = held === undefined ? "next" : this.#compare(held, next);
      if (stays === "both" && held !== undefined) staying.push(held);
      if (stays !== "held") held = next;
    }
    return { staying, held };
  }

  /** Returns which of two changes stays, of which `next` comes after `held`. */
  #compare(held: Held, next: Held): "held" | "next" | "both" {
    if (Buffer.compare(held.key, next.key) !== 0) return "both";
    const { storedAsScdType, onEqualSequence } = this.#plan.settings;
    if (Buffer.compare(held.sequence, next.sequence) !== 0) {
      if (storedAsScdType === 2) return "both";
      this.counts.superseded++;
      return "next";
    }
    if (onEqualSequence === "fail" && !isSameChange(held, next, this.#plan)) throw notUnique(next);
    this.counts.repeated++;
    return "held";
  }

  #operations(batch: RecordBatch, held: readonly Held[]): RecordBatch {
    const changes = takeRows(
      batch,
      held.map(({ row }) => row),
    );
    const { layout, stored, keys, settings } = this.#plan;
    const columns = ({ fields }: Schema) => fields.map(({ name }) => columnOf(changes, name));
    const start = settings.storedAsScdType === 2 ? settings.sequenceBy : [];
    const names = [ADDED.sequence, ...start, ...settings.sequenceBy];
    return layout.batch({
      operation: columnOf(changes, ADDED.operation).values as Int8Array,
      length: changes.numRows,
      counted: -1,
      row: columns(stored),
      id: columns(keys),
      metadata: names.map((name) => columnOf(changes, name)),
    });
  }
}

function* changesIn(batch: RecordBatch, { settings: { keys } }: MergePlan): Generator<Held> {
  const keyOf = sortKeysOf(
    batch,
    keys.map((name) => asc(name)),
  );
  const { values, valueOffsets } = columnOf(batch, ADDED.sequence);
  for (let row = 0; row < batch.numRows; row++) {
    const sequence = (values as Uint8Array).subarray(valueOffsets[row], valueOffsets[row + 1]);
    yield { batch, row, key: keyOf(row), sequence };
  }
}

/** True if both delete the row of their key, or store the same values. */
function isSameChange(a: Held, b: Held, plan: MergePlan): boolean {
  const operationOf = ({ batch, row }: Held): unknown => columnOf(batch, ADDED.operation).values[row];
  if (operationOf(a) !== operationOf(b)) return false;
  if (operationOf(a) === OPERATION.delete) return true;
  const textOf = ({ batch, row }: Held, name: string) => valueKeys(columnOf(batch, name))(row);
  return plan.stored.fields.every(({ name }) => textOf(a, name) === textOf(b, name));
}

function notUnique({ batch, row }: Held): MillraceError {
  const at = (name: string) => Number(columnOf(batch, name).values[row]);
  const where = { partition: at(ADDED.partition), row: at(ADDED.row) };
  return new MillraceError(
    "SEQUENCE_NOT_UNIQUE",
    `row ${where.row} of partition ${where.partition} and an earlier one are different changes of a key, and have one sequence`,
    {
      where,
      hint: 'The batch is not committed. Add a column to sequenceBy that tells their order, or set onEqualSequence: "first".',
    },
  );
}
