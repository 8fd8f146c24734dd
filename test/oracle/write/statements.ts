import type { Schema } from "apache-arrow";
import { DataSource, type DataSourceClass } from "../../../shared/contract/data-source.ts";
import { type Pipeline, pipeline } from "../../../shared/contract/pipeline.ts";
import type { Assignments } from "../../../shared/contract/row-command.ts";
import type { SupportsWrite } from "../../../shared/contract/write/table.ts";
import { batchInput, streamInput } from "./input.ts";
import type { BatchWriteOp, ClauseOp, CommandOp, GivenOp, StreamOp } from "./op.ts";
import { expressionOf, isAlways, predicateOf } from "./predicates.ts";
import { commandTable } from "./rec-command-table.ts";
import { RecSettings } from "./rec-settings.ts";
import { RecTable } from "./rec-table.ts";
import { columnsOf, TableState } from "./tables.ts";
import type { Files } from "./trace.ts";

/** A table as the statements of a scenario find it. */
interface Found {
  readonly state: TableState;
  readonly schema: string;
  readonly properties: Readonly<Record<string, string>>;
}

/** The tables of a scenario, by name. */
export class Tables {
  readonly #tables = new Map<string, Found>();

  give(op: GivenOp, files: Files): void {
    const { schema, properties } = op;
    this.#tables.set(op.table, { state: TableState.given(op, files), schema, properties });
  }

  drop(name: string): void {
    this.#tables.delete(name);
  }

  /** `null` if there is no such table. */
  filesOf(name: string): Files | null {
    return this.#tables.get(name)?.state.files ?? null;
  }

  /** Without a catalog, a table comes into being when it is named. With one, it must be there. */
  find(name: string, catalog: string | null, schema: string): Found {
    const found = this.#tables.get(name);
    if (found !== undefined) return found;
    if (catalog !== null) throw new Error(`there is no table ${name}`);
    const made = { state: new TableState(name, columnsOf(schema)), schema, properties: {} };
    this.#tables.set(name, made);
    return made;
  }
}

type WriteOp = BatchWriteOp | StreamOp;
type Options = Readonly<Record<string, string>>;

/** Returns the sink of a statement. */
function sinkOf(tables: Tables, { table, catalog, rows }: WriteOp): DataSourceClass<Options> {
  class Rec extends DataSource<Options> {
    static override readonly name = "rec.Rec";

    override table(_schema: Schema): RecTable {
      const { state, properties, schema } = tables.find(table, catalog, rows.schema);
      const settings = new RecSettings(state, properties, this.options);
      return new RecTable(settings, catalog === null ? undefined : schema);
    }
  }
  return Rec;
}

/** Returns the pipeline of a statement that writes. Throws what refuses it before any call. */
export function pipelineOf(tables: Tables, op: WriteOp | CommandOp, name: string): Pipeline {
  if (op.kind === "delete" || op.kind === "update" || op.kind === "merge") return commandOf(tables, op, name);
  tables.find(op.table, op.catalog, op.rows.schema);
  return op.kind === "stream" ? streamOf(tables, op, name) : batchOf(tables, op, name);
}

function streamOf(tables: Tables, op: StreamOp, name: string): Pipeline {
  const { rows, outputMode } = op;
  const stream = pipeline(name)
    .readStream.format(streamInput(rows.schema, rows.epochs ?? []))
    .writeStream.format(sinkOf(tables, op))
    .options(op.options);
  return outputMode === "append" ? stream : stream.outputMode(outputMode as "complete");
}

function batchOf(tables: Tables, op: BatchWriteOp, name: string): Pipeline {
  const { mode, condition, dynamic, rows } = op;
  const batch = pipeline(name)
    .read.format(batchInput(inputSchema(tables, op), rows.partitions))
    .write.format(sinkOf(tables, op))
    .options(op.options);
  if (mode !== "overwrite") return batch.mode(mode as "append");
  if (dynamic) return batch.overwritePartitions();
  return condition === null || isAlways(condition)
    ? batch.truncate()
    : batch.overwrite(predicateOf(condition));
}

/** Returns the table of a command. */
function tableOf(tables: Tables, { table, catalog }: CommandOp): DataSourceClass<Options> {
  class Rec extends DataSource<Options> {
    static override readonly name = "rec.Rec";

    override table(): SupportsWrite {
      const { state, properties, schema } = tables.find(table, catalog, "");
      return commandTable(new RecSettings(state, properties, this.options), schema);
    }
  }
  return Rec;
}

function commandOf(tables: Tables, op: CommandOp, name: string): Pipeline {
  tables.find(op.table, op.catalog, "");
  const target = pipeline(name).table(tableOf(tables, op), {});
  if (op.kind === "delete") return target.deleteWhere(op.where === null ? undefined : predicateOf(op.where));
  if (op.kind === "update")
    return target.update({
      set: setOf(op.set),
      ...(op.where === null ? {} : { where: predicateOf(op.where) }),
    });
  const source = pipeline(name).read.format(batchInput(op.source.schema, [op.source.rows]));
  return target.merge(source as never, {
    on: predicateOf(op.on),
    whenMatched: op.matched.map(clauseOf) as never,
    whenNotMatched: op.notMatched.map(clauseOf) as never,
    whenNotMatchedBySource: op.notMatchedBySource.map(clauseOf) as never,
  });
}

function clauseOf({ when, then, set }: ClauseOp): object {
  const condition = when === null ? {} : { when: predicateOf(when) };
  return { ...condition, then, ...(set === undefined ? {} : { set: setOf(set) }) };
}

function setOf(set: NonNullable<ClauseOp["set"]>): Assignments {
  return Object.fromEntries(set.map(([column, value]) => [column, expressionOf(value)]));
}

/**
 * Millrace finds columns by name. A statement that finds them by position gets the names of the
 * table's columns for its own.
 */
function inputSchema(tables: Tables, { by, rows, table, catalog }: BatchWriteOp): string {
  if (by === "name" || catalog === null) return rows.schema;
  const names = columnsOf(tables.find(table, catalog, rows.schema).schema);
  const columns = rows.schema.split(",");
  if (columns.length !== names.length)
    throw new Error(`${columns.length} columns are written to a table of ${names.length}`);
  return columns.map((column, i) => column.trim().replace(/^\S+/, names[i] as string)).join(",");
}
