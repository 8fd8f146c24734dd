import type { Schema } from "apache-arrow";
import { MillraceError } from "../../contract/errors.ts";
import type { Filter } from "../../contract/filters.ts";
import type { InputPartition } from "../../contract/stream-reader.ts";
import { filtersOf } from "../../contract/write/convert-filters.ts";
import type { Predicate } from "../../contract/write/predicates.ts";
import type {
  Batch,
  PartitionReaderFactory,
  Scan,
  SupportsPushDownRequiredColumns,
  SupportsPushDownV2Filters,
} from "../../contract/write/scan.ts";
import type { Server } from "../kit/postgres/connection.ts";
import type { Session } from "../kit/postgres/session.ts";
import { PostgresReader, type Slice } from "./batch-reader.ts";
import { canOrder, Parameters } from "./cursor.ts";
import { conditionOf } from "./filters.ts";
import type { ParsedOptions } from "./options.ts";
import { columnNamed, readTable, schemaOf, type Table } from "./table.ts";
import { rowIdOf } from "./unique-keys.ts";

/** What a scan needs to know of its table. */
export interface ScannedTable {
  readonly table: Table;
  /** All columns that a scan can have. */
  readonly schema: Schema;
  /** The columns that identify a row, by which the rows are split. */
  readonly rowId: readonly string[];
}

/**
 * Looks the table up. Without `schema` it has the columns of the table or, if set, of the option
 * `columns`. Error: `POSTGRES_TABLE_MISMATCH`.
 */
export async function scannedTable(session: Session, options: ParsedOptions): Promise<ScannedTable> {
  const table = await readTable(session, options.table);
  const rowId = await rowIdOf(session, table, options.rowId);
  return { table, rowId, schema: schemaOf(table, options.columns) };
}

/** Builds a scan of the table. */
export class PostgresScanBuilder implements SupportsPushDownV2Filters, SupportsPushDownRequiredColumns {
  readonly #options: ParsedOptions;
  readonly #server: Server;
  readonly #known: ScannedTable | undefined;
  #filters: readonly Filter[] = [];
  #required: Schema | undefined;

  /** If the table is not known yet, `build` looks it up. */
  constructor(options: ParsedOptions, server: Server, known?: ScannedTable) {
    this.#options = options;
    this.#server = server;
    this.#known = known;
  }

  /**
   * Keeps the predicates that PostgreSQL evaluates as Millrace does. If the table is not known yet,
   * all are returned, and those are evaluated twice.
   */
  pushPredicates(predicates: readonly Predicate[]): readonly Predicate[] {
    const pushed = predicates.filter((one) => this.#mayPush(one));
    this.#filters = filtersOf(pushed) ?? [];
    return this.#known === undefined ? predicates : predicates.filter((one) => !pushed.includes(one));
  }

  #mayPush(predicate: Predicate): boolean {
    const [filter] = filtersOf([predicate]) ?? [];
    if (filter === undefined) return false;
    if (this.#known === undefined) return true;
    const { table, schema } = this.#known;
    return conditionOf(filter, table, schema, new Parameters()) !== undefined;
  }

  pruneColumns(required: Schema): void {
    this.#required = required;
  }

  async build(): Promise<PostgresScan> {
    const options = this.#options;
    const known =
      this.#known ??
      (await this.#server.use(async (session) => {
        const table = await readTable(session, options.table);
        return { table, schema: schemaOf(table, options.columns), rowId: [] };
      }));
    const names = this.#required?.fields.map(({ name }) => name);
    const schema = names === undefined ? known.schema : selected(known, names);
    const reader = new PostgresReader(schema, orderedBy(options, known), this.#server, known.schema);
    return new PostgresScan(schema, reader, this.#filters, this.#known !== undefined);
  }
}

/** Returns the columns with these names. Error: `POSTGRES_TABLE_MISMATCH`. */
function selected({ table, schema }: ScannedTable, names: readonly string[]): Schema {
  for (const name of names) columnNamed(table, name);
  return schema.select([...names]);
}

/**
 * Returns the options with which the rows are split into ranges: of the option `cursorColumn`, else
 * of the row id, if it can be ordered.
 */
function orderedBy(
  options: ParsedOptions,
  { table, rowId: [first, ...others] }: ScannedTable,
): ParsedOptions {
  if (options.cursorColumn !== undefined) return { ...options, keyColumns: undefined };
  if (first === undefined || !canOrder(columnNamed(table, first)))
    return { ...options, keyColumns: undefined };
  return { ...options, cursorColumn: first, keyColumns: others.length === 0 ? undefined : others };
}

/** Reads rows of the table, in ranges of its cursor column. */
class PostgresScan implements Scan {
  readonly #schema: Schema;
  readonly #reader: PostgresReader;
  readonly #filters: readonly Filter[];
  /** True if nobody evaluates the filters again. */
  readonly #isExact: boolean;

  constructor(schema: Schema, reader: PostgresReader, filters: readonly Filter[], isExact: boolean) {
    this.#schema = schema;
    this.#reader = reader;
    this.#filters = filters;
    this.#isExact = isExact;
  }

  readSchema(): Schema {
    return this.#schema;
  }

  async toBatch(): Promise<Batch> {
    const reader = this.#reader;
    const rest = await reader.pushFilters(this.#filters);
    if (rest.length > 0 && this.#isExact) throw changedMeanwhile();
    const factory: PartitionReaderFactory = {
      createReader: (partition, task) => reader.read(partition as Slice, task),
    };
    return {
      planInputPartitions: async () => (await reader.partitions()) as readonly InputPartition[],
      createReaderFactory: () => factory,
    };
  }
}

function changedMeanwhile(): MillraceError {
  return new MillraceError("POSTGRES_TABLE_MISMATCH", "the columns of the table have changed meanwhile", {
    hint: "Nothing was read. Run again.",
    retryable: true,
  });
}
