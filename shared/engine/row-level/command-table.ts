import { Schema } from "apache-arrow";
import type { Configured } from "../../contract/configured.ts";
import type { DataSourceRuntime } from "../../contract/context.ts";
import { toSchema } from "../../contract/ddl/to-schema.ts";
import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import type { RowCommand } from "../../contract/row-command.ts";
import {
  canDelete,
  deleteNotSupported,
  deleteRefused,
  deletesByFilter,
  isTruncatable,
} from "../../contract/write/delete.ts";
import { predicatesText } from "../../contract/write/predicate-text.ts";
import { ALWAYS_TRUE, type Predicate } from "../../contract/write/predicates.ts";
import type { RowLevelOperation, SupportsRowLevelOperations } from "../../contract/write/row-level.ts";
import type { MetadataColumn, SupportsMetadataColumns, SupportsRead } from "../../contract/write/scan.ts";
import type { SupportsWrite } from "../../contract/write/table.ts";
import { checkImplementation, TABLE } from "../sessions/check-implementation.ts";
import { guard } from "../sessions/guard.ts";
import { isInsertOnly } from "./command-plan.ts";
import { conditionsOf } from "./pushdown.ts";

/** The table of a command, made anew in each step. */
export type CommandTable = SupportsWrite &
  Partial<SupportsRowLevelOperations & SupportsMetadataColumns & SupportsRead>;

/** A data source with its parsed options. */
export interface OpenedSource {
  readonly configured: Configured;
  readonly options: object;
}

/** Which way a command takes. */
export type CommandPath =
  /** The table deletes the rows by itself. */
  | { readonly kind: "delete" }
  /** The rows of a merge's source are appended. */
  | { readonly kind: "insert" }
  | { readonly kind: "row-level"; readonly operation: RowLevelOperation };

/** Makes the table, and finds its columns. Errors: `SINK_FAILED`, `WRITE_NOT_SUPPORTED`. */
export async function openTable(
  { configured, options }: OpenedSource,
  runtime: DataSourceRuntime,
  where: ErrorLocation,
): Promise<{ readonly table: CommandTable; readonly columns: Schema }> {
  const { dataSource } = configured;
  return await guard("SINK_FAILED", `making the table "${dataSource.name}" failed`, where, async () => {
    const made = new dataSource(options as never, runtime);
    if (made.table === undefined) throw notATable(dataSource.name, where);
    const found = await columnsOf(async () => await made.schema());
    const table = checkImplementation(await made.table(found ?? new Schema([])), "table", TABLE, where);
    const columns = table.schema === undefined ? found : toSchema(table.schema);
    if (columns === undefined) throw lacksColumns(table.name, where);
    if (table.capabilities.has("BATCH_READ")) return { table, columns };
    throw deleteNotSupported(table, "does not support batch scan", 'the capability "BATCH_READ"').with({
      where,
    });
  });
}

/** Returns the columns that a data source reads, or `undefined` if it cannot tell them. */
async function columnsOf(schema: () => Promise<Parameters<typeof toSchema>[0]>): Promise<Schema | undefined> {
  try {
    return toSchema(await schema());
  } catch (error) {
    if (MillraceError.is(error) && error.code === "NOT_SUPPORTED") return undefined;
    throw error;
  }
}

/** Returns the metadata columns of a table. */
export function metadataColumnsOf(table: CommandTable): readonly MetadataColumn[] {
  return table.metadataColumns?.() ?? [];
}

/** Returns the predicates of a deletion, as the table gets them. */
export function deletedPredicates(where: Predicate | undefined): readonly Predicate[] {
  return conditionsOf(where) ?? [ALWAYS_TRUE];
}

/**
 * Decides which way a command takes, by Spark's rules. `check` is called with an operation before
 * the table is asked whether it can delete by itself. Throws `WRITE_NOT_SUPPORTED`.
 */
export async function choosePath(
  command: RowCommand,
  table: CommandTable,
  options: Readonly<Record<string, unknown>>,
  check: (operation: RowLevelOperation) => void,
): Promise<CommandPath> {
  if (command.command === "DELETE") return await deletePath(command.where, table, options, check);
  if (isInsertOnly(command)) {
    if (!table.capabilities.has("BATCH_WRITE"))
      throw notSupported(table, "does not support writing in a batch", 'the capability "BATCH_WRITE"');
    if (typeof table.newScanBuilder !== "function")
      throw notSupported(table, "cannot be read by a merge", "a method newScanBuilder()");
    return { kind: "insert" };
  }
  if (!isRowLevel(table)) {
    const verb = command.command === "UPDATE" ? "UPDATE" : "MERGE";
    throw notSupported(table, `does not support ${verb}`, "a method newRowLevelOperationBuilder()");
  }
  return { kind: "row-level", operation: await operationOf(command, table, options, check) };
}

async function deletePath(
  where: Predicate | undefined,
  table: CommandTable,
  options: Readonly<Record<string, unknown>>,
  check: (operation: RowLevelOperation) => void,
): Promise<CommandPath> {
  const predicates = deletedPredicates(where);
  const isAll = conditionsOf(where) === undefined;
  const byFilter = deletesByFilter(table) ? table : undefined;
  const isAsked = byFilter !== undefined && (isAll || !isRowLevel(table));
  if (isAsked) {
    if (canDelete(byFilter, predicates)) return { kind: "delete" };
    throw deleteRefused(table, predicates);
  }
  if (isAll && isTruncatable(table)) return { kind: "delete" };
  if (!isRowLevel(table)) {
    throw deleteNotSupported(
      table,
      `does not support deletes of the rows with ${predicatesText(predicates)}`,
      "a method deleteWhere() or newRowLevelOperationBuilder()",
    );
  }
  const operation = await operationOf({ command: "DELETE" }, table, options, check);
  if (byFilter !== undefined && canDelete(byFilter, predicates)) return { kind: "delete" };
  return { kind: "row-level", operation };
}

export function isRowLevel(table: CommandTable): table is CommandTable & SupportsRowLevelOperations {
  return typeof table.newRowLevelOperationBuilder === "function";
}

/** Returns the operation of a step after planning, which has decided to take this way. */
export async function operationOf(
  { command }: Pick<RowCommand, "command">,
  table: SupportsRowLevelOperations,
  options: Readonly<Record<string, unknown>>,
  check: (operation: RowLevelOperation) => void,
): Promise<RowLevelOperation> {
  const operation = await table.newRowLevelOperationBuilder({ command, options }).build();
  check(operation);
  return operation;
}

function notSupported({ name }: CommandTable, problem: string, needs: string): MillraceError {
  return new MillraceError("WRITE_NOT_SUPPORTED", `table "${name}" ${problem}`, {
    hint: `Nothing was read or written. It needs ${needs}. Guide: docs/merge.md.`,
  });
}

function notATable(name: string, where: ErrorLocation): MillraceError {
  return new MillraceError("WRITE_NOT_SUPPORTED", `the rows of "${name}" cannot be changed`, {
    where,
    hint: "Nothing was read or written. Choose a data source with a method table(), such as memory or postgres. Guide: docs/merge.md.",
  });
}

function lacksColumns(name: string, where: ErrorLocation): MillraceError {
  return new MillraceError("WRITE_NOT_SUPPORTED", `table "${name}" does not tell its columns`, {
    where,
    hint: "Nothing was read or written. Give its data source a method schema(), or the table a property schema.",
  });
}
