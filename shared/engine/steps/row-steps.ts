import { type Data, Field, makeData, RecordBatch, Schema, Struct } from "apache-arrow";
import { valueRowsOf } from "../../arrow/rows.ts";
import { takeRows } from "../../arrow/take.ts";
import { toSchema } from "../../contract/ddl/to-schema.ts";
import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import { kindOf } from "../../contract/json.ts";
import type { RowStep } from "../../contract/row-steps.ts";
import type { SchemaLike } from "../../contract/schema-like.ts";
import { MadeRows } from "./made-rows.ts";
import type { Stepped } from "./origin.ts";
import {
  type CompiledStep,
  checkBuildable,
  invalidStep,
  isPromiseLike,
  rowFailed,
  type StepPlace,
  type StepTask,
  stepFailed,
} from "./step.ts";

type StepOf<Kind extends RowStep["kind"]> = Extract<RowStep, { readonly kind: Kind }>;
type AnyFunction = (row: unknown) => unknown;

/** What a step does with the rows of one record batch. */
interface RowWork {
  /** The function of the step. If it throws, the row has failed. */
  readonly call: AnyFunction;
  /** Takes what the function returned. */
  take(value: unknown, index: number): void;
  /** True if what was taken should be passed on before the next row. */
  isFull?(): boolean;
}

/** Goes through the rows of a record batch, one by one, and stops whenever the work is full. */
class RowLoop {
  readonly #stepped: Stepped;
  readonly #place: StepPlace;
  readonly #task: StepTask;
  readonly #rows: Iterator<Record<string, unknown>>;
  #index = 0;
  isOver = false;

  constructor(stepped: Stepped, place: StepPlace, task: StepTask) {
    this.#stepped = stepped;
    this.#place = place;
    this.#task = task;
    this.#rows = valueRowsOf(stepped.batch);
  }

  async run({ call, take, isFull }: RowWork): Promise<void> {
    for (;;) {
      const { done, value: row } = this.#rows.next();
      // Nobody waits for the rows of a task that was told to stop.
      this.isOver = done === true || this.#task.signal?.aborted === true;
      if (this.isOver) return;
      this.#task.onMove?.();
      const index = this.#index++;
      let value: unknown;
      let isAsync = false;
      try {
        value = call(row);
        isAsync = isPromiseLike(value);
        if (isAsync) value = await value;
      } catch (error) {
        this.#failed(error, index, isAsync);
        continue;
      }
      take(value, index);
      if (isFull?.() === true) return;
    }
  }

  #failed(error: unknown, index: number, isAsync: boolean): void {
    const { origin } = this.#stepped;
    const row = origin.numberOf(index);
    const where = { ...this.#task.where, row };
    rowFailed(this.#task, origin, index, stepFailed(this.#place, error, `row ${row}`, where, isAsync));
  }
}

/** `.map()` and `.flatMap()` */
export function mapStep(
  { kind, fn, schema: given }: StepOf<"map" | "flatMap">,
  place: StepPlace,
  where: ErrorLocation,
): CompiledStep {
  const schema = given === undefined ? place.input : toSchema(given);
  checkBuildable(schema, place, where);
  const one = fn as AnyFunction;
  const call: AnyFunction = kind === "map" ? one : (row) => whenReady(one(row), rowsIn);
  return {
    schema,
    async *apply(input, task) {
      for await (const stepped of input) {
        const made = new MadeRows(schema, place.name, stepped.origin, task);
        const loop = new RowLoop(stepped, place, task);
        const take = (value: unknown, index: number) =>
          made.add(kind === "map" ? [value] : (value as readonly unknown[]), index);
        while (!loop.isOver) {
          await loop.run({ call, take, isFull: () => made.isFull });
          if (!made.isEmpty) yield made.stepped();
        }
      }
    },
  };
}

/** Calls `then` with the value, at once unless it is a promise. */
function whenReady<T>(value: unknown, then: (value: unknown) => T): T | PromiseLike<Awaited<T>> {
  return isPromiseLike(value) ? (value.then(then) as PromiseLike<Awaited<T>>) : then(value);
}

/** Returns the rows that a function of `.flatMap()` returned, or a promise of them. */
function rowsIn(rows: unknown): readonly unknown[] | Promise<readonly unknown[]> {
  if (typeof rows === "object" && rows !== null) {
    if (Symbol.iterator in rows) return [...(rows as Iterable<unknown>)];
    if (Symbol.asyncIterator in rows) return Array.fromAsync(rows as AsyncIterable<unknown>);
  }
  throw new MillraceError("STEP_FAILED", `the function of .flatMap() returned ${kindOf(rows)}`, {
    hint: "Return the rows as an array, or write a generator; return [] for no rows.",
  });
}

/** `.filter(fn)` */
export function filterStep({ fn }: StepOf<"filter">, place: StepPlace): CompiledStep {
  const call = fn as AnyFunction;
  return {
    schema: place.input,
    async *apply(input, task) {
      for await (const stepped of input) {
        const kept: number[] = [];
        const take = (isKept: unknown, index: number) => {
          if (isKept) kept.push(index);
        };
        await new RowLoop(stepped, place, task).run({ call, take });
        yield* taken(stepped, kept);
      }
    },
  };
}

/** Yields the rows at these indexes, if there are any. */
export function* taken({ batch, origin }: Stepped, rows: readonly number[]): Generator<Stepped> {
  if (rows.length === batch.numRows) yield { batch, origin };
  else if (rows.length > 0) yield { batch: takeRows(batch, rows), origin: origin.take(rows) };
}

/** `.withColumns()`. The other columns stay as they are. */
export function withColumnsStep(
  { columns, schema: given }: StepOf<"withColumns">,
  place: StepPlace,
  where: ErrorLocation,
): CompiledStep {
  const made = madeColumns(Object.keys(columns), given, place, where);
  checkBuildable(made, place, where);
  const { input } = place;
  const fields = [
    ...input.fields.map((field) => made.fields.find(({ name }) => name === field.name) ?? field),
    ...made.fields.filter(({ name }) => !input.fields.some((field) => field.name === name)),
  ];
  const schema = new Schema(fields, input.metadata);
  const call = objectOf(Object.entries(columns) as [string, AnyFunction][]);
  return {
    schema,
    async *apply(rows, task) {
      for await (const stepped of rows) {
        const values = new MadeRows(made, place.name, stepped.origin, task);
        const loop = new RowLoop(stepped, place, task);
        const take = (value: unknown, index: number) => values.add([value], index);
        while (!loop.isOver) {
          await loop.run({ call, take, isFull: () => values.isFull });
          if (values.isEmpty) continue;
          const { batch, indexes } = values.take();
          for (const { batch: old, origin } of taken(stepped, indexes))
            yield { batch: combined(schema, old, batch), origin };
        }
      }
    },
  };
}

/** Returns a function that makes an object of what these functions make of a row. */
function objectOf(functions: readonly (readonly [string, AnyFunction])[]): AnyFunction {
  return (row) => {
    const values = functions.map(([name, fn]) => [name, fn(row)] as const);
    if (!values.some(([, value]) => isPromiseLike(value))) return Object.fromEntries(values);
    return Promise.all(values.map(async ([name, value]) => [name, await value] as const)).then((all) =>
      Object.fromEntries(all),
    );
  };
}

/** Returns the columns that the functions make, in the order of the functions. */
function madeColumns(
  names: readonly string[],
  given: SchemaLike | undefined,
  { name: step, input }: StepPlace,
  where: ErrorLocation,
): Schema {
  const types = given === undefined ? [] : toSchema(given).fields;
  const extra = types.find(({ name }) => !names.includes(name));
  if (extra !== undefined)
    throw invalidStep(
      step,
      `the schema has the column "${extra.name}", for which there is no function`,
      "Add a function for it, or leave the column out of the schema.",
      where,
    );
  return new Schema(
    names.map((name) => {
      const field = [...types, ...input.fields].find((one) => one.name === name);
      if (field !== undefined) return new Field(name, field.type, field.nullable, field.metadata);
      throw invalidStep(
        step,
        `the new column "${name}" has no type`,
        `Write .withColumns({ ${name}: … }, "${name} string"), with its type.`,
        where,
      );
    }),
  );
}

/** Returns the rows of `old` with the columns of `made` in place of, or beside, their own. */
function combined(schema: Schema, old: RecordBatch, made: RecordBatch): RecordBatch {
  const of = (batch: RecordBatch, name: string): Data | undefined =>
    batch.data.children[batch.schema.fields.findIndex((field) => field.name === name)];
  const children = schema.fields.map(({ name }) => (of(made, name) ?? of(old, name)) as Data);
  const type = new Struct(schema.fields);
  return new RecordBatch(schema, makeData({ type, length: old.numRows, nullCount: 0, children }));
}
