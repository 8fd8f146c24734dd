import { Binary, Field, Int8, type RecordBatch, Schema, Utf8 } from "apache-arrow";
import { RowCollector } from "../../arrow/row-collector.ts";
import { rowsOf } from "../../arrow/rows.ts";
import type { BatchContext, TaskContext } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { NamedRow } from "../../contract/stream-reader.ts";
import type { Session } from "../kit/postgres/session.ts";
import { dropStaged, readStaged, type StagedRows, stageRows } from "../kit/staging.ts";
import { escapeIdentifier } from "./identifier.ts";
import { insertOf, JsonSender } from "./load.ts";
import { jsonRows, type TypedTable } from "./sent-rows.ts";
import { columnNamed, type Table } from "./table.ts";
import { refuseZeroCharactersIn } from "./zero-characters.ts";

/** What a change does, as it is stored. */
export const CHANGE = { delete: 0, update: 1, insert: 2 } as const;

/** The columns of changes. */
export interface ChangeLayout {
  /** The columns that are written. */
  readonly rows: Schema;
  /** The columns that identify a row. */
  readonly ids: Schema;
  /** The metadata columns, if there are any. */
  readonly metadata: Schema;
}

/** One change. What its kind has not is null. */
export interface Change {
  readonly operation: (typeof CHANGE)[keyof typeof CHANGE];
  readonly id: NamedRow | null;
  readonly row: NamedRow | null;
  readonly metadata: NamedRow | null;
}

/** The temporary table with the changes of a batch, which the commit drops. */
export const CHANGES = "pg_temp.millrace_changed";
/** Quoted names of its columns, beside those of the rows, which have their own names. */
export const OPERATION: string = escapeIdentifier("(operation)");
export const NUMBER: string = escapeIdentifier("(number)");
export const SEQUENCE: string = escapeIdentifier("(__sequence)");
export const START_AT: string = escapeIdentifier("(__start_at)");

/** Returns the quoted name of the column with a part of the id. */
export function idColumn(i: number): string {
  return escapeIdentifier(idName(i));
}

function idName(i: number): string {
  return `(id ${i})`;
}

/**
 * Returns the columns of changes side by side. Names in brackets keep those that Millrace adds
 * apart from those of the table. Error: `POSTGRES_TABLE_MISMATCH`.
 */
function flatSchema({ rows, ids, metadata }: ChangeLayout): Schema {
  const own = [
    new Field("(operation)", new Int8(), false),
    ...ids.fields.map((field, i) => field.clone({ name: idName(i) })),
    ...metadata.fields.map((field) => field.clone({ name: `(${field.name})` })),
  ];
  const taken = rows.fields.find(
    ({ name }) => name === "(number)" || own.some((field) => field.name === name),
  );
  if (taken === undefined) return new Schema([...own, ...rows.fields]);
  throw new MillraceError(
    "POSTGRES_TABLE_MISMATCH",
    `a column cannot be called "${taken.name}" in a table whose rows are changed`,
    { hint: "Nothing was written. Rename the column." },
  );
}

/** Returns the function that prints a change as the statement of the commit reads it. */
function changePrinter(layout: ChangeLayout): (change: Change) => string {
  const print = jsonRows(flatSchema(layout));
  const from = (
    fields: readonly Field[],
    values: NamedRow | null,
    nameOf: (name: string, i: number) => string,
  ) => fields.map(({ name }, i) => [nameOf(name, i), jsonValueOf(values?.[name])] as const);
  return ({ operation, id, row, metadata }) => {
    const values = Object.fromEntries([
      ["(operation)", operation],
      ...from(layout.ids.fields, id, (_, i) => idName(i)),
      ...from(layout.metadata.fields, metadata, (name) => `(${name})`),
      ...from(layout.rows.fields, row, (name) => name),
    ]);
    const text = print(values);
    refuseZeroCharactersIn(values, text);
    return text;
  };
}

/** Rows have bytes as base64. A sequence may come as bytes. */
function jsonValueOf(value: unknown): unknown {
  return value instanceof Uint8Array ? Buffer.from(value).toString("base64") : (value ?? null);
}

const TEXTS = new Schema([new Field("change", new Utf8(), false)]);

/**
 * Stages the changes of one task attempt as Arrow files. Each change is one text of JSON, which the
 * commit sends as it is.
 */
export class ChangeStage {
  readonly #task: TaskContext;
  readonly #id: string;
  readonly #print: (change: Change) => string;
  readonly #collector: RowCollector = new RowCollector(TEXTS, {});
  readonly #handover: Handover = new Handover();
  #staging: Promise<StagedRows> | undefined;
  #message: StagedRows | null = null;

  /** `id` is a random id for the names of the files. */
  constructor(task: TaskContext, id: string, layout: ChangeLayout) {
    this.#task = task;
    this.#id = id;
    this.#print = changePrinter(layout);
  }

  /** Adds a change. The caller must wait for the promise, if there is one. */
  add(change: Change): Promise<void> | undefined {
    this.#collector.append([this.#print(change)]);
    return this.#collector.isFull ? this.#flush() : undefined;
  }

  async #flush(): Promise<void> {
    const batch = this.#collector.flush();
    this.#staging ??= this.#stage();
    // If staging fails, nobody takes the batch.
    await Promise.race([this.#handover.put(batch), this.#staging]);
  }

  #stage(): Promise<StagedRows> {
    const staging = stageRows(TEXTS, this.#handover.take(), this.#task, this.#id);
    staging.catch(() => undefined);
    return staging;
  }

  /** Returns the commit message of the task. */
  async finish(): Promise<StagedRows> {
    if (this.#collector.pending > 0) await this.#flush();
    this.#handover.end();
    this.#message = this.#staging === undefined ? { files: [] } : await this.#staging;
    return this.#message;
  }

  /** Deletes what was staged. */
  async drop(): Promise<void> {
    this.#handover.fail(new Error("the task was aborted"));
    // Staging that fails deletes its own files.
    const message = this.#message ?? (await this.#staging?.catch(() => null)) ?? null;
    await dropStaged([message], this.#task);
  }
}

/** Passes record batches from one who pushes them to one who pulls them. */
class Handover {
  #filled = newBatch();
  #taken = Promise.withResolvers<void>();

  /** Resolves when the batch is taken. */
  async put(batch: RecordBatch): Promise<void> {
    const { promise } = this.#taken;
    this.#filled.resolve(batch);
    await promise;
  }

  end(): void {
    this.#filled.resolve(undefined);
  }

  fail(error: Error): void {
    this.#filled.reject(error);
  }

  async *take(): AsyncGenerator<RecordBatch> {
    for (;;) {
      const batch = await this.#filled.promise;
      if (batch === undefined) return;
      const taken = this.#taken;
      this.#filled = newBatch();
      this.#taken = Promise.withResolvers();
      taken.resolve();
      yield batch;
    }
  }
}

function newBatch(): PromiseWithResolvers<RecordBatch | undefined> {
  const next = Promise.withResolvers<RecordBatch | undefined>();
  // Nobody may be waiting when the task is aborted.
  next.promise.catch(() => undefined);
  return next;
}

/**
 * Makes the temporary table, in the current transaction, and puts the staged changes of all tasks
 * into it, numbered in the order of the partitions. Its columns have the types of `table`; a
 * metadata column has the type that `metadataTypes` names.
 */
export async function loadChanges(
  session: Session,
  table: Table,
  layout: ChangeLayout,
  messages: readonly (StagedRows | null)[],
  batch: BatchContext,
): Promise<void> {
  const columns = changeColumns(table, layout);
  const selected = columns.map(({ name, sql }) => `${sql} AS ${escapeIdentifier(name)}`).join(", ");
  await session.execute(
    "making a temporary table",
    `CREATE TEMP TABLE millrace_changed ON COMMIT DROP AS SELECT ${selected} FROM ${table.sql} AS old WITH NO DATA;
     ALTER TABLE ${CHANGES} ADD COLUMN ${NUMBER} bigint GENERATED ALWAYS AS IDENTITY`,
  );
  const changes: TypedTable = { sql: CHANGES, columns };
  const sender = new JsonSender(session, "sending the changes", insertOf(changes, flatSchema(layout), []));
  for await (const staged of readStaged(messages, batch))
    for (const { change } of rowsOf(staged.batch)) if (sender.add(String(change))) await sender.flush();
  await sender.flush();
  // The server has no statistics of a new table, and joins it badly without.
  await session.execute("counting the changes", `ANALYZE ${CHANGES}`);
}

interface ChangeColumn {
  readonly name: string;
  readonly type: string;
  /** An expression with the type, and the collation, of the column. */
  readonly sql: string;
}

/** Returns the columns of the temporary table. Error: `POSTGRES_TABLE_MISMATCH`. */
export function changeColumns(table: Table, { ids, rows, metadata }: ChangeLayout): readonly ChangeColumn[] {
  const like = (name: string, target: string): ChangeColumn => {
    const { type, plainType } = columnNamed(table, target);
    // A domain may refuse the null that stands for a value that a change has not.
    const cast = plainType === type ? "" : `::${plainType}`;
    return { name, type: plainType, sql: `old.${escapeIdentifier(target)}${cast}` };
  };
  const plain = (name: string, type: string): ChangeColumn => ({ name, type, sql: `NULL::${type}` });
  return [
    plain("(operation)", "smallint"),
    ...ids.fields.map(({ name }, i) => like(idName(i), name)),
    ...metadata.fields.map(({ name }) =>
      name === "__start_at" ? like(`(${name})`, "__START_AT") : plain(`(${name})`, "bytea"),
    ),
    ...rows.fields.map(({ name }) => like(name, name)),
  ];
}

/** Returns the condition that the row `old` of the table has the id of the change `new`. */
export function isChanged(ids: Schema): string {
  return ids.fields.map(({ name }, i) => `old.${escapeIdentifier(name)} = new.${idColumn(i)}`).join(" AND ");
}

/** The schema of the sequence of a change. */
export const SEQUENCE_FIELD: Field = new Field("__sequence", new Binary(), false);
