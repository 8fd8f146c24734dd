import type { Data } from "apache-arrow";
import { RecordBatch, type Struct } from "apache-arrow";
import type { TaskContext } from "../../contract/context.ts";
import type { ErrorLocation } from "../../contract/errors.ts";
import type { Exchange, RowTransform } from "../sessions/engine-write.ts";
import { DEFAULT_BUCKETS, TARGET_BYTES } from "../shuffle/spec.ts";
import type { CommandPlan } from "./command-plan.ts";
import { operationRows } from "./instructions.ts";
import { rowsUpTo } from "./joined-rows.ts";
import { joinedOperations } from "./merge-join.ts";

/** Makes operation rows. It sorts nothing. */
interface CommandTransform extends RowTransform {
  apply(batches: AsyncIterable<RecordBatch>, task: TaskContext): AsyncIterable<RecordBatch>;
}

/** Returns what makes operation rows of the rows that a command reads. */
export function commandTransform(plan: CommandPlan): CommandTransform {
  return {
    schema: plan.layout.schema,
    apply: (batches, task) => operationsOf(plan, batches, placeOf(task)),
  };
}

/** Returns what makes the rows of a merge that only inserts. */
export function insertTransform(plan: CommandPlan): RowTransform {
  const { row } = plan.columns;
  const controls = plan.layout.control.length;
  return {
    schema: row,
    async *apply(batches, task) {
      for await (const operations of operationsOf(plan, batches, placeOf(task))) {
        const children = operations.data.children.slice(controls, controls + row.fields.length);
        const named = operations.selectAt(children.map((_, i) => controls + i));
        yield new RecordBatch(row, named.data as Data<Struct>);
      }
    },
  };
}

/**
 * Returns the exchange that brings the rows of both sides with equal keys together, if several
 * tasks read them.
 */
export function mergeExchanges({ join, sides }: CommandPlan, inputPartitions: number): readonly Exchange[] {
  if (join === undefined || inputPartitions <= 1) return [];
  const hasKeys = join.keys.length > 0;
  return [
    {
      transform: { schema: sides.joined, apply: (batches) => batches },
      spec: {
        kind: "hash",
        expressions: join.keys,
        // Without keys each row may match each other one.
        buckets: hasKeys ? DEFAULT_BUCKETS : 1,
        isFixed: !hasKeys,
        targetBytes: TARGET_BYTES,
        maySplit: false,
      },
    },
  ];
}

function placeOf({ pipeline, batchId, partitionId, attempt, attemptNumber }: TaskContext): ErrorLocation {
  return { pipeline, batchId, partition: partitionId, attempt, attemptNumber };
}

async function* operationsOf(
  plan: CommandPlan,
  batches: AsyncIterable<RecordBatch>,
  where: ErrorLocation,
): AsyncGenerator<RecordBatch> {
  const { join, matched, layout } = plan;
  if (join !== undefined) {
    yield* joinedOperations({ ...plan, join }, batches, where);
    return;
  }
  for await (const batch of batches) {
    const assigned = { rows: rowsUpTo(batch.numRows), instructions: matched };
    const operations = operationRows(batch, [assigned], layout);
    if (operations !== undefined) yield operations;
  }
}
