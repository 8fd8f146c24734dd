import { type RecordBatch, Schema } from "apache-arrow";
import { filterMatcher } from "../../arrow/predicates/row-matcher.ts";
import { toRecordBatches } from "../../arrow/record-batches.ts";
import { selectColumns } from "../../arrow/select.ts";
import { toSchema } from "../../contract/ddl/to-schema.ts";
import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import type { RowStep } from "../../contract/row-steps.ts";
import type { RowSource } from "../../contract/stream-reader.ts";
import { suggest } from "../../contract/suggest.ts";
import { RowNumbers, type Stepped } from "./origin.ts";
import { taken } from "./row-steps.ts";
import { type CompiledStep, invalidStep, type StepPlace, stepFailed } from "./step.ts";

type StepOf<Kind extends RowStep["kind"]> = Extract<RowStep, { kind: Kind }>;

/** `.filter(...filters)` */
export function whereStep(
  { filters }: StepOf<"where">,
  place: StepPlace,
  where: ErrorLocation,
): CompiledStep {
  let matcher: ReturnType<typeof filterMatcher>;
  try {
    matcher = filterMatcher(place.input, filters);
  } catch (error) {
    throw MillraceError.is(error) ? error.with({ where: { ...where, step: place.name } }) : error;
  }
  return {
    schema: place.input,
    async *apply(input, task) {
      for await (const stepped of input) {
        task.onMove?.();
        yield* taken(stepped, matcher.split(stepped.batch).matching);
      }
    },
  };
}

/** `.select()` */
export function selectStep(
  { columns }: StepOf<"select">,
  { name, input }: StepPlace,
  where: ErrorLocation,
): CompiledStep {
  const names = input.fields.map((field) => field.name);
  const missing = columns.find((column) => !names.includes(column));
  if (missing !== undefined)
    throw invalidStep(
      name,
      `the rows have no column "${missing}"${suggest(missing, names)}`,
      "Steps run in the order in which they are written: name a column that the rows have there.",
      where,
    );
  const fields = columns.flatMap((column) => input.fields.find((field) => field.name === column) ?? []);
  return {
    schema: new Schema(fields, input.metadata),
    async *apply(rows, task) {
      for await (const { batch, origin } of rows) {
        task.onMove?.();
        yield { batch: selectColumns(batch, columns), origin };
      }
    },
  };
}

/** `.mapBatches()`. The rows that it returns are numbered anew, because any of them may be new. */
export function batchStep({ fn, schema: given }: StepOf<"mapBatches">, place: StepPlace): CompiledStep {
  const schema = given === undefined ? place.input : toSchema(given);
  const call = fn as (batch: RecordBatch) => unknown;
  return {
    schema,
    async *apply(input, task) {
      const numbers = new RowNumbers(place.index + 1);
      for await (const stepped of input) {
        task.onMove?.();
        const { where } = task;
        const failed = (error: unknown) => stepFailed(place, error, rowsOf(stepped), where, true);
        const made = toRecordBatches(
          schema,
          (await guarded(() => call(stepped.batch), failed)) as RowSource,
          {
            ...where,
            step: place.name,
          },
        );
        for (;;) {
          const { done, value } = await guarded(() => made.next(), failed);
          if (done === true) break;
          if (value.numRows > 0) yield { batch: value, origin: numbers.originOf(value) };
        }
      }
    },
  };
}

async function guarded<T>(body: () => T, failed: (error: unknown) => MillraceError): Promise<Awaited<T>> {
  try {
    return await body();
  } catch (error) {
    throw failed(error);
  }
}

/** Says of which rows a record batch is made. */
function rowsOf({ batch: { numRows }, origin }: Stepped): string {
  if (numRows === 1) return `row ${origin.numberOf(0)}`;
  return `rows ${origin.numberOf(0)} to ${origin.numberOf(numRows - 1)}`;
}
