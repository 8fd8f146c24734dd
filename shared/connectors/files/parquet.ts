import { Schema } from "apache-arrow";
import type { Row } from "../../contract/stream-reader.ts";
import { readFooter } from "../kit/parquet/footer.ts";
import { readRowGroup } from "../kit/parquet/row-groups.ts";
import { treeOf } from "../kit/parquet/tree.ts";
import type { FileBytes } from "./bytes.ts";
import { checkNotInFolders } from "./columns.ts";
import type { ParsedOptions } from "./options.ts";
import { type MatchOptions, matchSchema, schemaOf } from "./parquet-columns.ts";

/**
 * Reads the rows of a Parquet file, one row group after the other. Errors: `COLUMN_MISSING`,
 * `COLUMN_MISNAMED`, `COLUMN_TYPE_MISMATCH`, `TYPE_NOT_SUPPORTED`, `FILE_FEATURE_NOT_SUPPORTED`,
 * `MalformedFileError`.
 */
export async function* readParquet(
  file: FileBytes,
  schema: Schema,
  options: MatchOptions & Pick<ParsedOptions, "folderColumns">,
): AsyncGenerator<Iterable<Row>> {
  const footer = await readFooter(file);
  const tree = treeOf(footer);
  checkNotInFolders(
    tree.columns.map(({ element }) => element.name),
    file,
    options,
  );
  const plans = matchSchema(tree, schema, options);
  for (const [index, group] of footer.rowGroups.entries())
    yield await readRowGroup(file, group, index, plans, footer.start);
}

/** Returns the schema of the rows of a file. Errors: as `readParquet`. */
export async function parquetFileSchema(file: FileBytes): Promise<Schema> {
  return new Schema(schemaOf(treeOf(await readFooter(file))));
}
