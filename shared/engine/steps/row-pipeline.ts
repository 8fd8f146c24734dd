import type { RecordBatch, Schema } from "apache-arrow";
import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import { nameOfStep, type RowStep } from "../../contract/row-steps.ts";
import { batchStep, selectStep, whereStep } from "./column-steps.ts";
import { RowNumbers, type Stepped } from "./origin.ts";
import { filterStep, mapStep, withColumnsStep } from "./row-steps.ts";
import type { CompiledStep, StepPlace, StepTask } from "./step.ts";

/** What a task does with the rows that it reads. */
export interface RowPipeline {
  /** The schema of the source's rows. */
  readonly sourceSchema: Schema;
  /** The schema of the rows after all steps. */
  readonly schema: Schema;
  /**
   * Applies the steps to record batches of the source's schema. Throws `STEP_FAILED`,
   * `ROW_MISMATCH`, `BATCH_SCHEMA_MISMATCH`.
   */
  apply(batches: AsyncIterable<RecordBatch>, task: StepTask): AsyncGenerator<RecordBatch>;
}

/**
 * Checks the steps against the rows that come to them. Throws `STEP_INVALID`, `FILTER_INVALID` or
 * `SCHEMA_INVALID`.
 */
export function rowPipeline(
  sourceSchema: Schema,
  steps: readonly RowStep[],
  where: ErrorLocation,
): RowPipeline {
  const compiled: CompiledStep[] = [];
  let schema = sourceSchema;
  for (const [index, step] of steps.entries()) {
    const place = { name: nameOfStep(step, index), index, input: schema };
    const next = compiledStep(step, place, where);
    compiled.push(next);
    schema = next.schema;
  }
  return {
    sourceSchema,
    schema,
    async *apply(batches, task) {
      let rows: AsyncIterable<Stepped> = numbered(batches, new RowNumbers(0));
      for (const step of compiled) rows = step.apply(rows, task);
      for await (const { batch } of rows) yield batch;
    },
  };
}

async function* numbered(batches: AsyncIterable<RecordBatch>, numbers: RowNumbers): AsyncGenerator<Stepped> {
  for await (const batch of batches) yield { batch, origin: numbers.originOf(batch) };
}

function compiledStep(step: RowStep, place: StepPlace, where: ErrorLocation): CompiledStep {
  try {
    switch (step.kind) {
      case "map":
      case "flatMap":
        return mapStep(step, place, where);
      case "filter":
        return filterStep(step, place);
      case "where":
        return whereStep(step, place, where);
      case "select":
        return selectStep(step, place, where);
      case "withColumns":
        return withColumnsStep(step, place, where);
      case "mapBatches":
        return batchStep(step, place);
    }
  } catch (error) {
    throw MillraceError.is(error) ? error.with({ where: { ...where, step: place.name } }) : error;
  }
}
