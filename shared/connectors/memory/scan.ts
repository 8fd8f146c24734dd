import { type Field, Schema } from "apache-arrow";
import { matcherOf } from "../../arrow/predicates/row-matcher.ts";
import { toSchema } from "../../contract/ddl/to-schema.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { NamedRow, Row } from "../../contract/stream-reader.ts";
import { type NamedReference, type Predicate, reference } from "../../contract/write/predicates.ts";
import type {
  Batch,
  MetadataColumn,
  PartitionReaderFactory,
  SupportsPushDownRequiredColumns,
  SupportsPushDownV2Filters,
  SupportsRuntimeV2Filtering,
} from "../../contract/write/scan.ts";
import type { ScannedFiles } from "./scans.ts";
import { readableRow } from "./stored-values.ts";
import type { Table } from "./table.ts";

/** The metadata columns of tables in memory. */
export const METADATA_COLUMNS: readonly MetadataColumn[] = [
  { name: "_file", type: "int not null" },
  { name: "_pos", type: "int not null" },
];
const METADATA = toSchema(METADATA_COLUMNS.map(({ name, type }) => `${name} ${type}`).join(", "));

/** A file of rows, as a scan has found it. */
export type ScannedFile = { readonly scan: string; readonly file: number };

/** What a scan needs to know of the table. */
export interface ScanOptions {
  readonly columns?: Schema | undefined;
}

/** Returns the columns of the table. Throws `WRITE_NOT_SUPPORTED` if it has none yet. */
export function columnsOf(table: Table, { columns }: ScanOptions): Schema {
  const found = columns ?? table.columns();
  if (found !== undefined) return found;
  throw new MillraceError("WRITE_NOT_SUPPORTED", `memory table "${table.name}" has no columns yet`, {
    hint: 'Set the option schema of the table: schema: "id int not null, v int".',
  });
}

/** Returns a builder of scans. `onPlanned` gets the id of what a scan has found. */
export function memoryScanBuilder(
  table: Table,
  options: ScanOptions,
  onPlanned: (scan: string) => void = () => undefined,
): MemoryScanBuilder {
  return new MemoryScanBuilder(table, columnsOf(table, options), onPlanned);
}

class MemoryScanBuilder implements SupportsPushDownV2Filters, SupportsPushDownRequiredColumns {
  readonly #table: Table;
  readonly #all: Schema;
  readonly #onPlanned: (scan: string) => void;
  #predicates: readonly Predicate[] = [];
  #required: Schema;

  constructor(table: Table, columns: Schema, onPlanned: (scan: string) => void) {
    this.#table = table;
    this.#all = new Schema([...columns.fields, ...METADATA.fields]);
    this.#onPlanned = onPlanned;
    this.#required = columns;
  }

  /** Files without a row that matches are left out; the engine finds the rows within a file. */
  pushPredicates(predicates: readonly Predicate[]): readonly Predicate[] {
    matcherOf(this.#all, predicates);
    this.#predicates = predicates;
    return predicates;
  }

  pruneColumns(required: Schema): void {
    this.#required = required;
  }

  build(): MemoryScan {
    return new MemoryScan(this.#table, this.#all, this.#required, this.#predicates, this.#onPlanned);
  }
}

class MemoryScan implements SupportsRuntimeV2Filtering {
  readonly #table: Table;
  readonly #all: Schema;
  readonly #required: Schema;
  readonly #onPlanned: (scan: string) => void;
  #predicates: readonly Predicate[];

  constructor(
    table: Table,
    all: Schema,
    required: Schema,
    predicates: readonly Predicate[],
    onPlanned: (scan: string) => void,
  ) {
    this.#table = table;
    this.#all = all;
    this.#required = required;
    this.#predicates = predicates;
    this.#onPlanned = onPlanned;
  }

  readSchema(): Schema {
    return this.#required;
  }

  filterAttributes(): readonly NamedReference[] {
    return [reference("_file")];
  }

  filter(predicates: readonly Predicate[]): void {
    this.#predicates = [...this.#predicates, ...predicates];
  }

  toBatch(): Batch<ScannedFile> {
    return {
      planInputPartitions: () => this.#plan(),
      createReaderFactory: (): PartitionReaderFactory<ScannedFile> => ({
        createReader: ({ scan, file }) => this.#read(scan, file),
      }),
    };
  }

  #plan(): readonly ScannedFile[] {
    const { scans } = this.#table;
    const matcher = matcherOf(this.#all, this.#predicates);
    const all = [...this.#all.fields];
    const hasMatch = (rows: readonly NamedRow[]) =>
      rows.some((row) => matcher.holds(this.#values(row, all)) === true);
    const files: ScannedFiles = new Map([...scans.now()].filter(([, rows]) => hasMatch(rows)));
    const scan = crypto.randomUUID();
    scans.keep(scan, files);
    this.#onPlanned(scan);
    return [...files.keys()].map((file) => ({ scan, file }));
  }

  *#read(scan: string, file: number): Generator<Row> {
    for (const row of this.#table.scans.find(scan).get(file) ?? [])
      yield this.#values(row, this.#required.fields);
  }

  /** Rows of earlier batches may lack columns. */
  #values(row: NamedRow, fields: readonly Field[]): Row {
    const { file, position } = this.#table.scans.place(row);
    const places: NamedRow = { _file: file, _pos: position };
    return readableRow({ ...places, ...row }, fields);
  }
}
