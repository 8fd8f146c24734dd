import { matcherOf } from "../../arrow/predicates/row-matcher.ts";
import type { Filter } from "../../contract/filters.ts";
import { predicateOf } from "../../contract/write/convert-filters.ts";
import type { Predicate } from "../../contract/write/predicates.ts";
import type { Write } from "../../contract/write/write.ts";
import type {
  SupportsDynamicOverwrite,
  SupportsOverwrite,
  SupportsOverwriteV2,
  SupportsTruncate,
} from "../../contract/write/write-builder.ts";
import type { LogicalWriteInfo } from "../../contract/write/write-info.ts";
import type { Replaced, Table } from "./table.ts";
import { MemoryV1Write, MemoryWrite } from "./write.ts";

/** What the pipeline may set about its writes. */
export interface WriteBuilderOptions {
  readonly partitionBy?: readonly string[] | undefined;
  readonly form: "rows" | "arrow";
  readonly v1Write: boolean;
}

/** Notes what the write replaces. At most one of its methods is called before `build`. */
abstract class MemoryWriteBuilder implements SupportsTruncate, Partial<SupportsDynamicOverwrite> {
  /** Only the builder of a table with partition columns has this method. */
  readonly overwriteDynamicPartitions?: () => this;
  readonly #info: LogicalWriteInfo;
  readonly #table: Table;
  readonly #options: WriteBuilderOptions;
  #replaced: Replaced = { replaces: "none" };

  constructor(info: LogicalWriteInfo, table: Table, options: WriteBuilderOptions) {
    this.#info = info;
    this.#table = table;
    this.#options = options;
    const { partitionBy, v1Write } = options;
    if (partitionBy === undefined || v1Write) return;
    this.overwriteDynamicPartitions = () => {
      this.#replaced = { replaces: "partitions", partitionBy };
      return this;
    };
  }

  truncate(): this {
    this.#replaced = { replaces: "all" };
    return this;
  }

  /** Throws `FILTER_INVALID` if the rows cannot be compared like that. */
  protected overwriteMatching(predicates: readonly Predicate[]): this {
    matcherOf(this.#info.schema, predicates);
    this.#replaced = { replaces: "matching", predicates };
    return this;
  }

  build(): Write {
    const { form, v1Write } = this.#options;
    const parts = { info: this.#info, table: this.#table, replaced: this.#replaced, form };
    // A stream has no save mode, and no V1Write.
    const isV1 = v1Write && this.#info.saveMode !== undefined;
    return isV1 ? new MemoryV1Write(parts) : new MemoryWrite(parts);
  }
}

/** A builder that takes predicates. */
export class PredicateWriteBuilder extends MemoryWriteBuilder implements SupportsOverwriteV2 {
  overwrite(predicates: readonly Predicate[]): this {
    return this.overwriteMatching(predicates);
  }
}

/** A builder that takes filters. */
export class FilterWriteBuilder extends MemoryWriteBuilder implements SupportsOverwrite {
  readonly filterForm = "filters" as const;

  overwrite(filters: readonly Filter[]): this {
    return this.overwriteMatching(filters.map(predicateOf));
  }
}
