import { JsonNumber } from "../../contract/json.ts";
import { parseJson } from "../kit/json-parser.ts";
import { FileBytes } from "./bytes.ts";
import { csvRecords } from "./csv-records.ts";
import { type Folder, listFiles } from "./folder.ts";
import { folderValues } from "./folder-columns.ts";
import { jsonRecords } from "./json-lines.ts";
import type { ParsedOptions } from "./options.ts";

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/**
 * Yields the records of CSV files and of JSON lines, file by file in the order of their names,
 * without a schema. Texts of CSV files and of folders that are numbers or booleans are such values.
 */
export async function* sampleRecords(folder: Folder): AsyncGenerator<object> {
  const { store, options } = folder;
  for await (const info of listFiles(folder)) {
    const file = new FileBytes(store, info);
    const folders = Object.fromEntries(
      [...folderValues(file.key, options)].map(([name, text]) => [name, valueIn(text)]),
    );
    for await (const record of recordsOf(file, options)) yield { ...record, ...folders };
  }
}

async function* recordsOf(file: FileBytes, options: ParsedOptions): AsyncGenerator<object> {
  if (options.format === "jsonl") yield* jsonRecords(file, options);
  else yield* csvObjects(file, options);
}

async function* csvObjects(file: FileBytes, options: ParsedOptions): AsyncGenerator<object> {
  let names: readonly string[] | undefined;
  for await (const records of csvRecords(file, options)) {
    for (const { record } of records) {
      if (names === undefined) {
        names = record.map((name, i) => (options.header ? (name ?? "") : `_c${i}`));
        if (options.header) continue;
      }
      yield Object.fromEntries(names.map((name, i) => [name, valueIn(record[i] ?? null)]));
    }
  }
}

function valueIn(text: string | null): unknown {
  if (text === null) return null;
  if (/^(?:true|false)$/i.test(text)) return text.toLowerCase() === "true";
  if (!NUMBER.test(text)) return text;
  const value = parseJson(text);
  return value instanceof JsonNumber || typeof value === "number" || typeof value === "bigint" ? value : text;
}
