import { DataType, type Field, type Schema } from "apache-arrow";
import { fieldOf } from "../../arrow/builders/nested.ts";
import { KnownFields, type LeftOutFields } from "../../arrow/left-out.ts";
import { isPlainObject, JsonNumber, kindOf } from "../../contract/json.ts";
import type { Row } from "../../contract/stream-reader.ts";
import { checkColumnNames } from "../kit/column-names.ts";
import { jsonRow } from "../kit/json.ts";
import { JsonFault, parseJson } from "../kit/json-parser.ts";
import { MalformedFileError, MalformedRowError } from "../kit/malformed.ts";
import { BadRecord, type FileRow, KeptRow } from "./bad-record.ts";
import { bytesOf } from "./binary-text.ts";
import type { FileBytes } from "./bytes.ts";
import { checkNotInFolders } from "./columns.ts";
import { epochOf, epochUnit } from "./epoch.ts";
import type { ParsedOptions } from "./options.ts";
import { textOf } from "./text.ts";

/**
 * Maximum length of a line. It makes a file without line breaks an error before it fills the
 * memory.
 */
const MAX_LINE_CHARACTERS = 16 * 1024 * 1024;

/** The white space of JSON. Other spaces are no empty line. */
const EMPTY_LINE = /^[ \t\r]*$/;

/**
 * Reads one JSON object per line. Empty lines are skipped. Lines end with `\n`, or with `\r` if the
 * first one does.
 */
export async function* readJsonLines(
  file: FileBytes,
  schema: Schema,
  options: ParsedOptions,
  keepsContent: boolean,
  leftOut?: LeftOutFields,
): AsyncGenerator<Iterable<FileRow>> {
  const toRow = rowReader(schema, options);
  const names = schema.fields.map(({ name }) => name);
  const known = new KnownFields(schema.fields);
  let number = 0;
  let isFirst = true;
  const toRowOf = (line: string): FileRow => {
    try {
      const record = recordOf(line, number);
      if (isFirst) {
        checkColumnNames(names, Object.keys(record), { schema: ".schema(…)" });
        checkNotInFolders(Object.keys(record), file, options);
      }
      isFirst = false;
      leftOut?.lookAtRecord(record, known);
      const row = toRow(record);
      return keepsContent ? new KeptRow(row, { file: file.key, line }) : row;
    } catch (error) {
      return BadRecord.of(error, { file: file.key, line });
    }
  };
  function* parsed(lines: readonly string[]): Generator<FileRow> {
    for (const line of lines) {
      number++;
      if (!EMPTY_LINE.test(line)) yield toRowOf(line);
    }
  }
  for await (const lines of linesOf(file, options)) yield parsed(lines);
}

/** Yields the objects of a file, one for each line that is not empty. */
export async function* jsonRecords(file: FileBytes, options: ParsedOptions): AsyncGenerator<object> {
  let number = 0;
  for await (const lines of linesOf(file, options)) {
    for (const line of lines) {
      number++;
      if (!EMPTY_LINE.test(line)) yield recordOf(line, number);
    }
  }
}

/** Returns what makes a row of a line that was read before. */
export function lineReader(schema: Schema, options: ParsedOptions): (line: string) => Row {
  const toRow = rowReader(schema, options);
  return (line) => toRow(recordOf(line, 1));
}

/** Yields the lines of each piece of the file. */
async function* linesOf(file: FileBytes, { encoding }: ParsedOptions): AsyncGenerator<readonly string[]> {
  let rest = "";
  let end: string | RegExp | undefined;
  for await (const text of textOf(file, encoding)) {
    rest += text;
    end ??= lineEndOf(rest);
    const lines = end === undefined ? [rest] : rest.split(end);
    rest = lines.pop() ?? "";
    if (rest.length > MAX_LINE_CHARACTERS)
      throw new MalformedFileError(`a line has more than ${MAX_LINE_CHARACTERS} characters`);
    if (lines.length > 0) yield lines;
  }
  yield rest.split(end ?? (rest.endsWith("\r") ? "\r" : "\n"));
}

/**
 * Returns what separates the lines of a file that begins with `text`, or `undefined` if it cannot
 * be told yet. A `\r` that follows no whole document is white space within one.
 */
function lineEndOf(text: string): string | RegExp | undefined {
  const at = text.search(/[\r\n]/);
  if (at < 0 || (text[at] === "\r" && at === text.length - 1)) return undefined;
  return text[at] === "\r" && text[at + 1] !== "\n" ? /\r\n|\r|\n/ : "\n";
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

type Convert = (value: unknown) => unknown;

/**
 * Returns a function that converts a record to a row. The options `epoch` and `binary` are about
 * the columns; values within arrays, maps and structs are read as in every JSON source.
 */
function rowReader(
  schema: Schema,
  options: ParsedOptions,
): (record: Readonly<Record<string, unknown>>) => Row {
  const toRow = jsonRow(schema);
  const own = schema.fields.flatMap((field, i) => {
    const convert = ownConverter(field, options);
    return convert === undefined ? [] : [[i, field.name, convert] as const];
  });
  if (own.length === 0) return toRow;
  return (record) => {
    const row = toRow(record) as unknown[];
    for (const [i, name, convert] of own) row[i] = convert(fieldOf(record, name)) ?? null;
    return row;
  };
}

function ownConverter({ name, type }: Field, { epoch, binary }: ParsedOptions): Convert | undefined {
  if (DataType.isTimestamp(type) && type.timezone) {
    const unit = epochUnit(epoch, name);
    return (value) => {
      const text = numberText(value);
      return text === undefined ? value : epochOf(text, name, unit, value);
    };
  }
  if (DataType.isBinary(type))
    return (value) => (typeof value === "string" ? bytesOf(value, name, binary) : value);
  return undefined;
}

/** Returns the digits of a number, or `undefined` for any other value. */
function numberText(value: unknown): string | undefined {
  if (typeof value === "number" || typeof value === "bigint") return String(value);
  return value instanceof JsonNumber ? value.source : undefined;
}
