import type { SupportsExists } from "../../../shared/contract/batch-writer.ts";
import { AlwaysTrue, type Filter } from "../../../shared/contract/filters.ts";
import type { JsonValue } from "../../../shared/contract/json.ts";
import { predicatesOf } from "../../../shared/contract/write/convert-filters.ts";
import { filterText, predicateText } from "../../../shared/contract/write/predicate-text.ts";
import { ALWAYS_TRUE, type Predicate } from "../../../shared/contract/write/predicates.ts";
import type { SupportsWrite, TableCapability } from "../../../shared/contract/write/table.ts";
import type { Write } from "../../../shared/contract/write/write.ts";
import type {
  SupportsDynamicOverwrite,
  SupportsOverwrite,
  SupportsOverwriteV2,
  SupportsTruncate,
  WriteBuilder,
} from "../../../shared/contract/write/write-builder.ts";
import type { LogicalWriteInfo } from "../../../shared/contract/write/write-info.ts";
import type { Disposition } from "../../../shared/contract/write/writer-table.ts";
import { log } from "./log.ts";
import { requiring } from "./rec-requires.ts";
import type { RecSettings } from "./rec-settings.ts";
import { ddlOf, RecV1Write, RecWrite } from "./rec-write.ts";

/** The table of the recordings, as far as it is written. */
export class RecTable implements SupportsWrite, Partial<SupportsExists> {
  readonly name: string;
  readonly capabilities: ReadonlySet<TableCapability>;
  /** Present if the table is in a catalog. */
  readonly schema?: string;
  /** Present if the table is in a catalog: only such a table knows save modes. */
  readonly exists?: () => boolean;
  readonly #settings: RecSettings;

  constructor(settings: RecSettings, schema: string | undefined) {
    this.name = settings.table.name;
    this.capabilities = settings.capabilities;
    this.#settings = settings;
    if (schema === undefined) return;
    this.schema = schema;
    this.exists = () => true;
  }

  newWriteBuilder(info: LogicalWriteInfo): WriteBuilder {
    log("Table.newWriteBuilder", {
      queryId: info.queryId,
      schema: ddlOf(info),
      rowIdSchema: null,
      metadataSchema: null,
      options: { ...info.options } as Record<string, JsonValue>,
    });
    this.#settings.faults.strike("Table.newWriteBuilder");
    return newBuilder(this.#settings, info);
  }
}

function newBuilder(settings: RecSettings, info: LogicalWriteInfo): WriteBuilder {
  switch (settings.builder) {
    case "plain":
      return new Builder(settings, info);
    case "truncate":
      return new TruncateBuilder(settings, info);
    case "dynamic":
      return new DynamicBuilder(settings, info);
    case "filterV1":
      return new FilterV1Builder(settings, info);
    case "filterV2":
      return new FilterV2Builder(settings, info);
    default:
      throw new Error(`the recorded table has no builder "${settings.builder}"`);
  }
}

class Builder implements WriteBuilder {
  readonly settings: RecSettings;
  readonly #info: LogicalWriteInfo;
  replaces: Disposition = { replaces: "none" };

  constructor(settings: RecSettings, info: LogicalWriteInfo) {
    this.settings = settings;
    this.#info = info;
  }

  async build(): Promise<Write> {
    const { settings, replaces } = this;
    log("WriteBuilder.build");
    await settings.faults.strikeLater("WriteBuilder.build");
    const parts = { settings, replaces, info: this.#info };
    if (settings.isV1) return new RecV1Write(parts);
    return requiring(settings, new RecWrite(parts));
  }
}

class TruncateBuilder extends Builder implements SupportsTruncate {
  truncate(): this {
    log("WriteBuilder.truncate");
    this.settings.faults.strike("WriteBuilder.truncate");
    this.replaces = { replaces: "all" };
    return this;
  }
}

class DynamicBuilder extends Builder implements SupportsDynamicOverwrite {
  overwriteDynamicPartitions(): this {
    log("WriteBuilder.overwriteDynamicPartitions");
    this.settings.faults.strike("WriteBuilder.overwriteDynamicPartitions");
    this.replaces = { replaces: "partitions" };
    return this;
  }
}

/** Its `truncate` is Spark's default, which overwrites what is always true. */
class FilterV2Builder extends DynamicBuilder implements SupportsOverwriteV2 {
  truncate(): this {
    log("WriteBuilder.truncate");
    this.settings.faults.strike("WriteBuilder.truncate");
    return this.overwrite([ALWAYS_TRUE]);
  }

  canOverwrite(predicates: readonly Predicate[]): boolean {
    const returns = !this.settings.refusesOverwrite;
    const names = predicates.map(({ name }) => name);
    log("WriteBuilder.canOverwrite", { predicates: predicates.map(predicateText), names, returns });
    this.settings.faults.strike("WriteBuilder.canOverwrite");
    return returns;
  }

  overwrite(predicates: readonly Predicate[]): this {
    log("WriteBuilder.overwrite", { predicates: predicates.map(predicateText) });
    this.settings.faults.strike("WriteBuilder.overwrite");
    this.replaces = { replaces: "matching", predicates };
    return this;
  }
}

class FilterV1Builder extends DynamicBuilder implements SupportsOverwrite {
  readonly filterForm = "filters";

  truncate(): this {
    log("WriteBuilder.truncate");
    this.settings.faults.strike("WriteBuilder.truncate");
    return this.overwrite([new AlwaysTrue()]);
  }

  canOverwrite(filters: readonly Filter[]): boolean {
    const returns = !this.settings.refusesOverwrite;
    log("WriteBuilder.canOverwrite(filters)", { filters: filters.map(filterText), returns });
    this.settings.faults.strike("WriteBuilder.canOverwrite(filters)");
    return returns;
  }

  overwrite(filters: readonly Filter[]): this {
    log("WriteBuilder.overwrite(filters)", { filters: filters.map(filterText) });
    this.settings.faults.strike("WriteBuilder.overwrite(filters)");
    this.replaces = { replaces: "matching", predicates: filters.flatMap(predicatesOf) };
    return this;
  }
}
