import type { Schema } from "apache-arrow";
import { isPlainObject, kindOf } from "../../contract/json.ts";
import type { Row } from "../../contract/stream-reader.ts";
import { checkColumnNames } from "../kit/column-names.ts";
import { jsonRow } from "../kit/json.ts";
import { JsonFault, parseJson } from "../kit/json-parser.ts";
import { type FileBytes, textOf } from "./bytes.ts";
import { MalformedFileError, MalformedRowError } from "./malformed.ts";

/**
 * Maximum length of a line. It makes a file without line breaks an error before it fills the
 * memory.
 */
const MAX_LINE_CHARACTERS = 16 * 1024 * 1024;

/** Reads one JSON object per line. Empty lines are skipped. */
export async function* readJsonLines(file: FileBytes, schema: Schema): AsyncGenerator<Iterable<Row>> {
  const toRow = jsonRow(schema);
  const names = schema.fields.map(({ name }) => name);
  let number = 0;
  let isFirst = true;
  function* parsed(lines: readonly string[]): Generator<Row> {
    for (const line of lines) {
      number++;
      if (line.trim() === "") continue;
      const record = recordOf(line, number);
      if (isFirst) checkColumnNames(names, Object.keys(record), { schema: ".schema(…)" });
      isFirst = false;
      yield toRow(record);
    }
  }
  let rest = "";
  for await (const text of textOf(file)) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > MAX_LINE_CHARACTERS)
      throw new MalformedFileError(`a line has more than ${MAX_LINE_CHARACTERS} characters`);
    yield parsed(lines);
  }
  yield parsed([rest]);
}

function recordOf(line: string, number: number): Readonly<Record<string, unknown>> {
  let record: unknown;
  try {
    record = parseJson(line);
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
    throw new MalformedRowError(`line ${number} is not JSON: ${error.message}`);
  }
  if (isPlainObject(record)) return record;
  throw new MalformedRowError(`line ${number} is ${kindOf(record)}, not an object`);
}
