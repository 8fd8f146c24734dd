import type { RecordBatch, Schema } from "apache-arrow";
import { rowsOf } from "../../arrow/rows.ts";
import type { TaskContext } from "../../contract/context.ts";
import type { ErrorLocation } from "../../contract/errors.ts";
import type { RowCommand } from "../../contract/row-command.ts";
import { literal, predicate, reference } from "../../contract/write/predicates.ts";
import type { Scan, SupportsRuntimeV2Filtering } from "../../contract/write/scan.ts";
import { guard } from "../sessions/guard.ts";
import { type CommandPlan, planCommand } from "./command-plan.ts";
import type { CommandTable } from "./command-table.ts";
import { commandTransform } from "./command-transform.ts";
import { joinedBatch } from "./joined-rows.ts";
import { conditionsOf } from "./pushdown.ts";
import { TableScan } from "./table-scan.ts";

/** What the first query of a command on groups needs. */
export interface GroupFilter {
  readonly plan: CommandPlan;
  readonly table: CommandTable;
  readonly scan: Scan;
  readonly options: Readonly<Record<string, unknown>>;
  /** The columns of a merge's source. */
  readonly sourceSchema: Schema | undefined;
  /** Returns the rows of a merge's source in these columns. */
  sourceRows(columns: Schema): AsyncIterable<RecordBatch>;
  readonly task: TaskContext;
  readonly where: ErrorLocation;
}

/**
 * Leaves out the groups of rows of which no row changes, if the scan can leave out groups: a first
 * query finds those with a match. It runs where the batch is planned. (Spark: runtime group
 * filtering.) Returns true if the scan was told.
 */
export async function filterGroups(filter: GroupFilter): Promise<boolean> {
  const { plan, table, where } = filter;
  const scan = filter.scan as Scan & Partial<SupportsRuntimeV2Filtering>;
  if (plan.facts.form !== "group" || scan.filter === undefined || table.newScanBuilder === undefined)
    return false;
  const command = matching(plan.command);
  const attributes = (scan.filterAttributes?.() ?? []).flatMap(({ attribute }) => attribute[0] ?? []);
  if (command === undefined || attributes.length === 0) return false;
  const found = await valuesWithMatch(filter, command, attributes);
  const predicates = attributes.map((name, i) =>
    predicate("IN", reference(name), ...[...(found[i]?.values() ?? [])].map(literal)),
  );
  await guard("SOURCE_FAILED", "filter() failed", where, () => scan.filter?.(predicates));
  return true;
}

/** Returns a command that deletes the rows that match, or `undefined` if all rows may change. */
function matching(command: RowCommand): RowCommand | undefined {
  if (command.command !== "MERGE") {
    const { where } = command;
    return where === undefined || conditionsOf(where) === undefined
      ? undefined
      : { command: "DELETE", where };
  }
  if (command.notMatchedBySource.length > 0) return undefined;
  return { ...command, matched: [DELETE_CLAUSE], notMatched: [] };
}

// A clause is never awaited, so its property `then` does no harm.
// biome-ignore lint/suspicious/noThenProperty: the contract of clauses has this word of SQL
const DELETE_CLAUSE = { then: "delete" } as const;

/**
 * Returns the different values of the attributes in rows with a match. The operation rows of a
 * delete by these "row ids" have them.
 */
async function valuesWithMatch(
  filter: GroupFilter,
  command: RowCommand,
  attributes: readonly string[],
): Promise<readonly ReadonlyMap<string, unknown>[]> {
  const { plan, table, options, sourceSchema, task, where } = filter;
  const { all } = plan.facts;
  const facts = { table: plan.facts.table, all, form: "delta", rowId: attributes } as const;
  const query = planCommand(command, { ...facts, splitsUpdates: false, metadata: [] }, sourceSchema, where);
  const scan = await TableScan.build(
    () => (table.newScanBuilder as NonNullable<typeof table.newScanBuilder>)(options),
    { pushed: query.pushed, columns: query.sides.target, where },
  );
  const found = attributes.map(() => new Map<string, unknown>());
  const ids = query.layout.id ?? [];
  for await (const batch of commandTransform(query).apply(joinedRows(filter, query, scan), task)) {
    for (const row of rowsOf(batch)) {
      for (const [i, [, flat]] of ids.entries()) found[i]?.set(JSON.stringify(row[flat]), row[flat]);
    }
  }
  return found;
}

async function* joinedRows(
  { sourceRows, task }: GroupFilter,
  { sides }: CommandPlan,
  scan: TableScan,
): AsyncGenerator<RecordBatch> {
  if (sides.source !== undefined) {
    for await (const { numRows, data } of sourceRows(sides.source))
      yield joinedBatch(sides.joined, numRows, { source: data });
  }
  for (const partition of await scan.partitions()) {
    for await (const { numRows, data } of scan.read(partition, task))
      yield joinedBatch(sides.joined, numRows, { target: data });
  }
}
