import { MillraceError } from "../errors.ts";
import type { Filter } from "../filters.ts";
import type { Awaitable } from "../stream-reader.ts";
import { filtersOf, predicatesOf } from "./convert-filters.ts";
import type { CustomMetric, CustomTaskMetric } from "./metrics.ts";
import { predicatesText } from "./predicate-text.ts";
import { ALWAYS_TRUE, isAlwaysTrue, type Predicate } from "./predicates.ts";
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
    throw notSupported(table, "does not support batch scan", 'the capability "BATCH_READ"');
  if (deletesByFilter(table)) {
    const deleteRows = deletionBy(table, predicates, options);
    return await withMetrics(table, deleteRows);
  }
  if (isTruncatable(table) && isAlwaysTrue(predicates)) return await truncateTable(table, options);
  throw notSupported(
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
  if (table.filterForm !== "filters") {
    if (table.canDeleteWhere?.(predicates) === false) throw refused(table, predicates);
    return async () => await table.deleteWhere(predicates, options);
  }
  const filters = filtersOf(predicates);
  if (filters === undefined || table.canDeleteWhere?.(filters) === false) throw refused(table, predicates);
  return async () => await table.deleteWhere(filters, options);
}

/**
 * Deletes all rows of a table. (Spark: `TRUNCATE TABLE`.) Throws `WRITE_NOT_SUPPORTED` if the table
 * cannot do that.
 */
export async function truncateTable(table: Table, options: DeleteOptions = {}): Promise<Deletion> {
  if (!isTruncatable(table))
    throw notSupported(table, "does not support truncates", "a method truncateTable()");
  return await withMetrics(table, async () => {
    if (!(await table.truncateTable(options)))
      throw notSupported(table, "could not delete all rows: truncateTable() returned false", "another table");
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

function deletesByFilter(table: Table): table is SupportsDelete | SupportsDeleteV2 {
  return "deleteWhere" in table && typeof table.deleteWhere === "function";
}

function isTruncatable(table: Table): table is TruncatableTable {
  return "truncateTable" in table && typeof table.truncateTable === "function";
}

function refused(table: Table, predicates: readonly Predicate[]): MillraceError {
  return notSupported(
    table,
    `cannot delete the rows with ${predicatesText(predicates)}`,
    "another condition",
  );
}

function notSupported({ name }: Table, problem: string, needs: string): MillraceError {
  return new MillraceError("WRITE_NOT_SUPPORTED", `table "${name}" ${problem}`, {
    hint: `No row was deleted. It needs ${needs}.`,
  });
}
