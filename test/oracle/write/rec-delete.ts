import type { Filter } from "../../../shared/contract/filters.ts";
import type { JsonValue } from "../../../shared/contract/json.ts";
import { predicatesOf } from "../../../shared/contract/write/convert-filters.ts";
import { filterText, predicateText } from "../../../shared/contract/write/predicate-text.ts";
import type { Predicate } from "../../../shared/contract/write/predicates.ts";
import type {
  SupportsDelete,
  SupportsDeleteV2,
  Table,
  TableCapability,
  TruncatableTable,
} from "../../../shared/contract/write/table.ts";
import { log } from "./log.ts";
import type { RecSettings } from "./rec-settings.ts";
import { askMetrics, reportMetrics, TABLE_METRICS } from "./rec-write.ts";

type Options = Readonly<Record<string, unknown>>;

/** Returns the table of the recordings with the abilities that its property `kind` names. */
export function deletable(settings: RecSettings): Table {
  if (settings.kind === "delete" || settings.kind === "rowLevel+delete") return new DeletableTable(settings);
  if (settings.kind === "deleteV1") return new FilterTable(settings);
  return settings.kind === "truncatable" ? new TruncateTable(settings) : new PlainTable(settings);
}

class PlainTable implements Table {
  readonly name: string;
  readonly capabilities: ReadonlySet<TableCapability>;
  protected readonly settings: RecSettings;

  constructor(settings: RecSettings) {
    this.name = settings.table.name;
    this.capabilities = settings.capabilities;
    this.settings = settings;
  }

  supportedCustomMetrics() {
    return askMetrics(this.settings, "Table.supportedCustomMetrics", TABLE_METRICS);
  }

  reportDriverMetrics() {
    return reportMetrics(this.settings, "Table.reportDriverMetrics");
  }
}

/**
 * Spark calls the methods with options; their defaults call those without, which are logged too.
 */
class TruncateTable extends PlainTable implements TruncatableTable {
  async truncateTable(options: Options = {}): Promise<boolean> {
    const { faults, table } = this.settings;
    log("Table.truncateTable(options)", { options: options as Record<string, JsonValue> });
    await faults.strikeLater("Table.truncateTable(options)");
    log("Table.truncateTable", { returns: true });
    await faults.strikeLater("Table.truncateTable");
    table.truncate();
    return true;
  }
}

class FilterTable extends PlainTable implements SupportsDelete {
  readonly filterForm = "filters";

  canDeleteWhere(filters: readonly Filter[]): boolean {
    const returns = !this.settings.refusesDelete;
    log("Table.canDeleteWhere(filters)", { filters: filters.map(filterText), returns });
    this.settings.faults.strike("Table.canDeleteWhere(filters)");
    return returns;
  }

  async deleteWhere(filters: readonly Filter[]): Promise<void> {
    const { faults, table } = this.settings;
    log("Table.deleteWhere(filters)", { filters: filters.map(filterText) });
    await faults.strikeLater("Table.deleteWhere(filters)");
    table.delete(filters.flatMap(predicatesOf));
  }
}

class DeletableTable extends PlainTable implements SupportsDeleteV2 {
  canDeleteWhere(predicates: readonly Predicate[]): boolean {
    const returns = !this.settings.refusesDelete;
    log("Table.canDeleteWhere", { predicates: predicates.map(predicateText), returns });
    this.settings.faults.strike("Table.canDeleteWhere");
    return returns;
  }

  async deleteWhere(predicates: readonly Predicate[], options: Options = {}): Promise<void> {
    const { faults, table } = this.settings;
    log("Table.deleteWhere(predicates,options)", { options: options as Record<string, JsonValue> });
    await faults.strikeLater("Table.deleteWhere(predicates,options)");
    log("Table.deleteWhere", { predicates: predicates.map(predicateText) });
    await faults.strikeLater("Table.deleteWhere");
    table.delete(predicates);
  }
}
