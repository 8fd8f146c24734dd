import type { Row } from "../../../contract/stream-reader.ts";
import { MalformedFileError } from "../../kit/malformed.ts";
import { readFooter } from "../../kit/parquet/footer.ts";
import { readRowGroup } from "../../kit/parquet/row-groups.ts";
import { treeOf } from "../../kit/parquet/tree.ts";
import type { NestedField } from "../format/types.ts";
import { fieldIdsOf } from "./field-ids.ts";
import { IdMatcher } from "./match-ids.ts";
import type { MappedField } from "./name-mapping.ts";
import type { TableFile } from "./table-file.ts";

export interface ReadFileOptions {
  /** The fields to read, in the order of the rows' values. */
  readonly fields: readonly NestedField[];
  /** Field ids for a file that has none. */
  readonly nameMapping: readonly MappedField[] | undefined;
  /** Number of rows that the table's metadata says the file has. */
  readonly rows: number;
  /** Values, by field id, of columns that the file lacks. */
  readonly constants?: ReadonlyMap<number, unknown>;
}

/** Rows of a file. `first` is the position of the first one in the file. */
export interface RowChunk {
  readonly rows: Iterable<Row>;
  readonly first: number;
}

/**
 * Reads the rows of a Parquet file, one row group after the other. Errors: `MalformedFileError`,
 * `FILE_FEATURE_NOT_SUPPORTED`, `TYPE_NOT_SUPPORTED`, `TABLE_FILE_MISSING`.
 */
export async function* readFile(file: TableFile, options: ReadFileOptions): AsyncGenerator<RowChunk> {
  const { fields, constants = new Map<number, unknown>() } = options;
  const footer = await readFooter(file);
  const total = footer.rowGroups.reduce((sum, { rows }) => sum + rows, 0);
  if (total !== options.rows)
    throw new MalformedFileError(`it has ${total} rows, and the table says ${options.rows}`);
  const tree = treeOf(footer);
  const matcher = new IdMatcher(fieldIdsOf(tree, options.nameMapping));
  const plans = matcher.plans(tree.columns, fields, ({ id }) => constants.has(id));
  const given = fields.map(({ id }, i) => (plans[i] === undefined ? constants.get(id) : undefined));
  const hasGiven = given.some((value) => value !== undefined);
  let first = 0;
  for (const [index, group] of footer.rowGroups.entries()) {
    const rows = await readRowGroup(file, group, index, plans, footer.start);
    yield { rows: hasGiven ? withGiven(rows, given) : rows, first };
    first += group.rows;
  }
}

function* withGiven(rows: Iterable<Row>, given: readonly unknown[]): Generator<Row> {
  for (const row of rows) yield (row as readonly unknown[]).map((value, i) => given[i] ?? value);
}
