import type { BatchContext } from "../context.ts";
import { MillraceError } from "../errors.ts";
import type { Filter } from "../filters.ts";
import type { Awaitable } from "../stream-reader.ts";
import { filtersOf, predicatesOf } from "./convert-filters.ts";
import type { CustomMetric, CustomTaskMetric } from "./metrics.ts";
import { predicatesText } from "./predicate-text.ts";
import { ALWAYS_TRUE, hasFormForTables, isAlwaysTrue, type Predicate } from "./predicates.ts";
import type { SupportsDelete, SupportsDeleteV2, Table, TruncatableTable } from "./table.ts";

/** Options of a deletion, which the table receives as they are. */
export type DeleteOptions = Readonly<Record<string, unknown>>;

/** What a table reported about a deletion. */
export interface Deletion {
  /** The metrics by their descriptions, as people see them. */
  readonly metrics: Readonly<Record<string, string>>;
}

/**
 * Deletes the rows of a table that match the condition, or all rows if it is `undefined`. As in
 * Spark, a table that can only delete all rows is truncated then. (Spark: `DELETE FROM`.) Throws
 * `WRITE_NOT_SUPPORTED` if the table cannot delete these rows, and `FILTER_INVALID`.
 */
export async function deleteFrom(
  table: Table,
  condition: Filter | Predicate | undefined,
  options: DeleteOptions = {},
): Promise<Deletion> {
  const predicates = condition === undefined ? [ALWAYS_TRUE] : predicatesOf(condition);
  if (!table.capabilities.has("BATCH_READ"))
    throw deleteNotSupported(table, "does not support batch scan", 'the capability "BATCH_READ"');
  if (deletesByFilter(table)) {
    return await withMetrics(table, deletionBy(table, predicates, options));
  }
  if (isTruncatable(table) && isAlwaysTrue(predicates)) return await truncateTable(table, options);
  throw deleteNotSupported(
    table,
    `does not support deletes of the rows with ${predicatesText(predicates)}`,
    isTruncatable(table) ? "a method deleteWhere(), or no condition" : "a method deleteWhere()",
  );
}

/** Returns a call of `deleteWhere` in the form that the table takes. */
function deletionBy(
  table: SupportsDelete | SupportsDeleteV2,
  predicates: readonly Predicate[],
  options: DeleteOptions,
): () => Promise<void> {
  if (!canDelete(table, predicates)) throw deleteRefused(table, predicates);
  return async () => await deleteRows(table, predicates, options);
}

/** Asks the table, in the form that it takes, whether it can delete these rows. */
export function canDelete(
  table: SupportsDelete | SupportsDeleteV2,
  predicates: readonly Predicate[],
): boolean {
  if (!predicates.every(hasFormForTables)) return false;
  if (table.filterForm !== "filters") return table.canDeleteWhere?.(predicates) !== false;
  const filters = filtersOf(predicates);
  return filters !== undefined && table.canDeleteWhere?.(filters) !== false;
}

/** Calls `deleteWhere` in the form that the table takes. */
export async function deleteRows(
  table: SupportsDelete | SupportsDeleteV2,
  predicates: readonly Predicate[],
  options: DeleteOptions,
  batch?: BatchContext,
): Promise<void> {
  if (table.filterForm !== "filters") return await table.deleteWhere(predicates, options, batch);
  const filters = filtersOf(predicates);
  if (filters === undefined) throw deleteRefused(table, predicates);
  await table.deleteWhere(filters, options, batch);
}

/**
 * Deletes all rows of a table. (Spark: `TRUNCATE TABLE`.) Throws `WRITE_NOT_SUPPORTED` if the table
 * cannot do that.
 */
export async function truncateTable(table: Table, options: DeleteOptions = {}): Promise<Deletion> {
  if (!isTruncatable(table))
    throw deleteNotSupported(table, "does not support truncates", "a method truncateTable()");
  return await withMetrics(table, async () => {
    if (!(await table.truncateTable(options)))
      throw deleteNotSupported(
        table,
        "could not delete all rows: truncateTable() returned false",
        "another table",
      );
  });
}

interface SupportsMetrics {
  supportedCustomMetrics?(): readonly CustomMetric[];
  reportDriverMetrics?(): Awaitable<readonly CustomTaskMetric[]>;
}

/** As in Spark, values are asked for only if the table has metrics. */
async function withMetrics(table: SupportsMetrics, run: () => Promise<void>): Promise<Deletion> {
  const metrics = table.supportedCustomMetrics?.() ?? [];
  await run();
  const reported = metrics.length === 0 ? [] : ((await table.reportDriverMetrics?.()) ?? []);
  const shown = metrics.flatMap((metric) => {
    const values = reported.filter(({ name }) => name === metric.name).map(({ value }) => value);
    return values.length === 0 ? [] : [[metric.description, metric.aggregateTaskMetrics(values)] as const];
  });
  return { metrics: Object.fromEntries(shown) };
}

/** True if the table deletes the rows that match a condition. */
export function deletesByFilter(table: Table): table is SupportsDelete | SupportsDeleteV2 {
  return "deleteWhere" in table && typeof table.deleteWhere === "function";
}

/** True if the table deletes all its rows at once. */
export function isTruncatable(table: Table): table is TruncatableTable {
  return "truncateTable" in table && typeof table.truncateTable === "function";
}

/** The error of a table that refuses a deletion. */
export function deleteRefused(table: Table, predicates: readonly Predicate[]): MillraceError {
  return deleteNotSupported(
    table,
    `cannot delete the rows with ${predicatesText(predicates)}`,
    "another condition",
  );
}

/** The error of a table that cannot delete rows. */
export function deleteNotSupported({ name }: Table, problem: string, needs: string): MillraceError {
  return new MillraceError("WRITE_NOT_SUPPORTED", `table "${name}" ${problem}`, {
    hint: `No row was deleted. It needs ${needs}.`,
  });
}
