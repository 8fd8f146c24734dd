import { basename, dirname, join } from "node:path";
import { typeName } from "../../../shared/contract/ddl/print.ts";
import type { MillraceError } from "../../../shared/contract/errors.ts";
import { type Exact, exactRows, type PythonFile, schemaOf } from "./exact-values.ts";
import { batchesOf, parquetSource } from "./source.ts";

/** What came of a file that pyarrow and the source have read. */
export interface Result {
  readonly name: string;
  readonly outcome: "same" | "refused" | "different" | "pyarrow refuses";
  readonly detail: string;
  readonly error?: unknown;
}

/** Reads a file with pyarrow's schema and compares types and values. */
export async function compare(
  folder: string,
  { name, error: refusal, fields, rows: expected }: PythonFile,
): Promise<Result> {
  const options = { path: join(folder, dirname(name)), pattern: basename(name) };
  const rows: Exact[][] = [];
  try {
    const own = await (await parquetSource(options)).schema();
    const schema = fields === undefined ? own : schemaOf(fields);
    const types = [own, schema].map((one) =>
      one.fields.map((field) => `${field.name} ${typeName(field.type)}`),
    );
    if (String(types[0]) !== String(types[1]))
      return { name, outcome: "different", detail: `the types ${types[0]} and ${types[1]}` };
    for await (const batch of batchesOf(options, schema)) rows.push(...exactRows(batch));
  } catch (error) {
    const { code, message } = error as MillraceError;
    return { name, outcome: "refused", detail: `${code}: ${message}`, error };
  }
  if (refusal !== undefined) return { name, outcome: "pyarrow refuses", detail: refusal };
  const row = rows.findIndex((one, i) => JSON.stringify(one) !== JSON.stringify(expected?.[i]));
  if (row < 0 && rows.length === expected?.length)
    return { name, outcome: "same", detail: `${rows.length} rows` };
  const detail = `row ${row}: ${JSON.stringify(rows[row])} and ${JSON.stringify(expected?.[row])}`;
  return { name, outcome: "different", detail };
}
