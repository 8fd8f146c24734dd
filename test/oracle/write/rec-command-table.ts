import type { RowLevelOperationInfo } from "../../../shared/contract/write/row-level.ts";
import type { SupportsWrite } from "../../../shared/contract/write/table.ts";
import { deletable } from "./rec-delete.ts";
import { METADATA_COLUMNS, newOperation, newScanBuilder } from "./rec-row-level.ts";
import type { RecSettings } from "./rec-settings.ts";
import { RecTable } from "./rec-table.ts";

/** The methods of tables that delete rows by themselves. */
const DELETION = [
  "canDeleteWhere",
  "deleteWhere",
  "truncateTable",
  "filterForm",
  "supportedCustomMetrics",
  "reportDriverMetrics",
];

/** Returns the table that a command changes, with the abilities that its property `kind` names. */
export function commandTable(settings: RecSettings, schema: string): SupportsWrite {
  const table = new RecTable(settings, schema);
  const own = deletable(settings);
  const methods = DELETION.flatMap((name) => {
    const value: unknown = Reflect.get(own, name);
    if (value === undefined) return [];
    return [[name, typeof value === "function" ? value.bind(own) : value] as const];
  });
  Object.assign(table, Object.fromEntries(methods));
  return settings.kind.startsWith("rowLevel") ? Object.assign(table, rowLevel(settings, schema)) : table;
}

function rowLevel(settings: RecSettings, schema: string) {
  return {
    newRowLevelOperationBuilder: (info: RowLevelOperationInfo) => ({
      build: () => newOperation(settings, info, schema),
    }),
    metadataColumns: () => METADATA_COLUMNS,
    // Reads outside of row-level operations are not logged.
    newScanBuilder: () =>
      newScanBuilder(settings, schema, { log: () => undefined, onPlanned: () => undefined }),
  };
}
