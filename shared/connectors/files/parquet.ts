import { Schema } from "apache-arrow";
import { MillraceError } from "../../contract/errors.ts";
import type { Row } from "../../contract/stream-reader.ts";
import type { FileBytes } from "./bytes.ts";
import { readFooter } from "./parquet/footer.ts";
import { type MatchOptions, matchSchema, schemaOf } from "./parquet/match.ts";
import { readRowGroup } from "./parquet/row-groups.ts";
import { treeOf } from "./parquet/tree.ts";
import { NotSupportedError } from "./parquet/unsupported.ts";

/**
 * Reads the rows of a Parquet file, one row group after the other. Errors: `COLUMN_MISSING`,
 * `COLUMN_MISNAMED`, `COLUMN_TYPE_MISMATCH`, `TYPE_NOT_SUPPORTED`, `FILE_FEATURE_NOT_SUPPORTED`,
 * `MalformedFileError`.
 */
export async function* readParquet(
  file: FileBytes,
  schema: Schema,
  options: MatchOptions,
): AsyncGenerator<Iterable<Row>> {
  const footer = await orNotSupported(async () => await readFooter(file));
  const plans = matchSchema(treeOf(footer), schema, options);
  for (const [index, group] of footer.rowGroups.entries()) {
    if (group.rows === 0) continue;
    const rows = await orNotSupported(
      async () => await readRowGroup(file, group, index, plans, footer.start),
    );
    yield supportedRows(rows);
  }
}

/** Returns the schema of the rows of a file. Errors: as `readParquet`. */
export async function parquetFileSchema(file: FileBytes): Promise<Schema> {
  const footer = await orNotSupported(async () => await readFooter(file));
  return new Schema(schemaOf(treeOf(footer)));
}

async function orNotSupported<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw toNotSupported(error);
  }
}

function* supportedRows(rows: Iterable<Row>): Generator<Row> {
  try {
    yield* rows;
  } catch (error) {
    throw toNotSupported(error);
  }
}

function toNotSupported(error: unknown): unknown {
  if (!(error instanceof NotSupportedError)) return error;
  const { message, hint, field } = error;
  return new MillraceError("FILE_FEATURE_NOT_SUPPORTED", `${message}, which is not supported`, {
    hint,
    ...(field === undefined ? {} : { where: { field } }),
  });
}
