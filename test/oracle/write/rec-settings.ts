import type { TableCapability } from "../../../shared/contract/write/table.ts";
import { Faults } from "./faults.ts";
import type { TableState } from "./tables.ts";

const DEFAULT_CAPABILITIES =
  "BATCH_READ,BATCH_WRITE,STREAMING_WRITE,TRUNCATE,OVERWRITE_BY_FILTER,OVERWRITE_DYNAMIC";

/** What the options of a write, over the properties of its table, say that the table is to do. */
export class RecSettings {
  readonly table: TableState;
  readonly faults: Faults;
  readonly #values: Readonly<Record<string, string>>;

  constructor(
    table: TableState,
    properties: Readonly<Record<string, string>>,
    options: Readonly<Record<string, string>>,
  ) {
    this.table = table;
    this.#values = { ...properties, ...options };
    this.faults = new Faults(this.#values);
  }

  get capabilities(): ReadonlySet<TableCapability> {
    const names = (this.#values["capabilities"] ?? DEFAULT_CAPABILITIES).split(",");
    return new Set(names.map((name) => name.trim()) as TableCapability[]);
  }

  /** Which abilities the write builder has. */
  get builder(): string {
    return this.#values["builder"] ?? "truncate";
  }

  /** Which abilities the table has beside that to be written. */
  get kind(): string {
    return this.#values["kind"] ?? "";
  }

  get isQuiet(): boolean {
    return this.#is("quiet");
  }

  get hasMetrics(): boolean {
    return this.#is("metrics");
  }

  get isV1(): boolean {
    return this.#is("v1");
  }

  get refusesOverwrite(): boolean {
    return this.#is("refuseOverwrite");
  }

  get refusesDelete(): boolean {
    return this.#is("refuseDelete");
  }

  get isCoordinated(): boolean {
    return this.#values["coordinator"] !== "false";
  }

  get isDelta(): boolean {
    return this.#is("delta");
  }

  /** True if an update arrives as a delete and an insert. */
  get splits(): boolean {
    return this.#is("split");
  }

  get rowId(): readonly string[] {
    return this.#names("rowId", "id");
  }

  /** The metadata columns that the writers need. */
  get required(): readonly string[] {
    return this.#names("required", "");
  }

  /** True if the predicates choose the files that are scanned. */
  get prunes(): boolean {
    return this.#is("prune");
  }

  get filtersAtRuntime(): boolean {
    return this.#is("runtimeFilter");
  }

  /** True if the write requires a distribution or an ordering. */
  get distributes(): boolean {
    return this.#is("distribute");
  }

  get distribution(): string {
    return this.#values["distribution"] ?? "unspecified";
  }

  get ordering(): readonly string[] {
    return this.#names("ordering", "");
  }

  get numPartitions(): number {
    return Number(this.#values["numPartitions"] ?? 0);
  }

  get advisorySize(): number {
    return Number(this.#values["advisorySize"] ?? 0);
  }

  get isStrict(): boolean {
    return this.#values["strict"] !== "false";
  }

  #names(name: string, otherwise: string): readonly string[] {
    const text = this.#values[name] ?? otherwise;
    return text === "" ? [] : text.split(",").map((one) => one.trim());
  }

  #is(name: string): boolean {
    return this.#values[name] === "true";
  }
}
