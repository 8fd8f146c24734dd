import { DataType, type Schema } from "apache-arrow";
import { parse } from "csv-parse";
import { typeName } from "../../contract/ddl/print.ts";
import { MillraceError, show } from "../../contract/errors.ts";
import type { Row } from "../../contract/stream-reader.ts";
import { checkColumnNames, type Misnamed, quoted } from "../kit/column-names.ts";
import { type FileBytes, textOf } from "./bytes.ts";
import { MalformedFileError, MalformedRowError } from "./malformed.ts";
import type { ParsedOptions } from "./options.ts";

/**
 * Maximum size of a record. It makes an unclosed quote an error before the record fills the memory.
 */
const MAX_RECORD_BYTES = 16 * 1024 * 1024;

/** Maximum number of header columns in an error message. */
const MAX_FOUND = 10;

const PROBLEMS: Readonly<Record<string, string>> = {
  CSV_RECORD_INCONSISTENT_FIELDS_LENGTH: "it has not as many fields as the first one",
  CSV_INVALID_CLOSING_QUOTE: "a quote within quotes is neither doubled nor followed by a delimiter",
  INVALID_OPENING_QUOTE:
    "a quote in a field that does not begin with one (where only spaces stand before it, set trim: true)",
  CSV_QUOTE_NOT_CLOSED: "a quote is never closed",
  CSV_MAX_RECORD_SIZE: `it has more than ${MAX_RECORD_BYTES} bytes`,
};

interface Parsed {
  readonly record: readonly (string | null)[];
  /** The line in which the record ends. */
  readonly line: number;
}

/**
 * Reads the rows of a CSV file (RFC 4180), with values in the order of the schema. Empty lines are
 * skipped.
 */
export async function* readCsv(
  file: FileBytes,
  schema: Schema,
  options: ParsedOptions,
): AsyncGenerator<Iterable<Row>> {
  const converters = schema.fields.map(({ type, name }) => converter(type, name));
  let positions: readonly number[] | undefined;
  for await (const records of recordsOf(file, options)) {
    const [first] = records;
    if (positions === undefined && first !== undefined) {
      positions = options.header
        ? positionsFromHeader(schema, first.record)
        : positionsInOrder(schema, first);
      if (options.header) records.shift();
    }
    const at = positions ?? [];
    yield records.values().map(({ record }) =>
      converters.map((convert, i) => {
        const text = record[at[i] ?? -1] ?? null;
        return text === null ? null : convert(text);
      }),
    );
  }
}

/** Yields the records of each piece of the file. */
async function* recordsOf(file: FileBytes, options: ParsedOptions): AsyncGenerator<Parsed[]> {
  const { delimiter, quote, nullValue } = options;
  let records: Parsed[] = [];
  const parser = parse({
    delimiter,
    quote,
    escape: options.escape ?? quote,
    record_delimiter: ["\r\n", "\n"],
    trim: options.trim,
    skip_empty_lines: true,
    max_record_size: MAX_RECORD_BYTES,
    cast: (text, { quoting }) => (text === nullValue && !quoting ? null : text),
    // Collects the records in an array. Awaiting them one by one from the parser's stream is slow.
    on_record: (record: Parsed["record"], { lines }) => {
      records.push({ record, line: lines });
      return null;
    },
  });
  // The write or end call that fails returns the error; without a listener the event would crash
  // the process.
  parser.on("error", () => undefined);
  const failureOf = (call: (callback: (error?: Error | null) => void) => unknown) =>
    new Promise<Error | null | undefined>((resolve) => call(resolve));
  for await (const text of textOf(file)) {
    const failure = await failureOf((callback) => parser.write(text, callback));
    // Yields the records before the failure first, so that rows are counted correctly in the error.
    yield records;
    if (failure) throw toMalformedRow(failure);
    records = [];
  }
  const failure = await failureOf((callback) => parser.end(callback));
  yield records;
  if (failure) throw toMalformedRow(failure);
}

function toMalformedRow(error: Error): Error {
  if (!("code" in error && typeof error.code === "string" && "lines" in error)) return error;
  const problem = PROBLEMS[error.code] ?? error.code;
  // Leaves out the stack of the parser's error, which does not help the user.
  return new MalformedRowError(`the record that ends in line ${error.lines}: ${problem}`, {
    cause: error.message,
  });
}

/**
 * Returns the position of each schema column in the header; -1, which reads as null, if the file
 * does not have it. Error: `COLUMN_MISNAMED`.
 */
function positionsFromHeader(schema: Schema, header: Parsed["record"]): readonly number[] {
  const names = header.map((name) => name ?? "");
  const columns = schema.fields.map(({ name }) => name);
  const positions = columns.map((column) => {
    const position = names.indexOf(column);
    if (position !== names.lastIndexOf(column))
      throw new MalformedFileError(`its header has "${column}" twice`);
    return position;
  });
  checkColumnNames(columns, names, { schema: ".schema(…)", orElse: trimHint });
  if (positions.some((position) => position >= 0)) return positions;
  const count = names.length === 1 ? "1 column" : `${names.length} columns`;
  throw new MalformedFileError(`its header has ${count}, and none of the schema's: ${quoted(columns)}`, {
    hint: "Set delimiter to what separates the fields, set header to false where the first line is a row, or call the columns in .schema(…) as the header does.",
    // If the file has no header, these are values of its first row, so they are not in the message.
    found: show(names.slice(0, MAX_FOUND)),
  });
}

function trimHint(misnamed: readonly Misnamed[]): string {
  return misnamed.some(({ column, found }) => found !== column && found.trim() === column)
    ? ", or set trim: true: spaces around fields are then left out"
    : "";
}

function positionsInOrder({ fields }: Schema, { record, line }: Parsed): readonly number[] {
  if (record.length === fields.length) return fields.map((_, i) => i);
  throw new MalformedRowError(
    `the record that ends in line ${line} has ${record.length} fields, the schema ${fields.length} columns`,
    { hint: "Set delimiter to what separates the fields, or give in .schema(…) a column for each field." },
  );
}

/**
 * Returns a function that converts text to a value. Text that does not fit the type is returned
 * unchanged; the conversion to Arrow then reports its row and field.
 */
function converter(type: DataType, name: string): (text: string) => unknown {
  if (DataType.isUtf8(type)) return (text) => text;
  if (DataType.isBinary(type)) return (text) => Buffer.from(text, "base64");
  const convert = textParser(type);
  if (convert === undefined) {
    throw new MillraceError("TYPE_NOT_SUPPORTED", `CSV has no values of the type ${typeName(type)}`, {
      where: { field: name },
      hint: `Make "${name}" a string in .schema(…), or leave it out.`,
    });
  }
  return (text) => {
    const trimmed = text.trim();
    // Many programs quote every field, including empty ones, so a quoted empty field is null here.
    return trimmed === "" ? null : convert(trimmed);
  };
}

function textParser(type: DataType): ((text: string) => unknown) | undefined {
  if (DataType.isInt(type)) return (text) => (/^[+-]?\d+$/.test(text) ? BigInt(text.replace("+", "")) : text);
  if (DataType.isFloat(type)) return toFloat;
  if (DataType.isBool(type)) {
    return (text) => (/^true$/i.test(text) ? true : /^false$/i.test(text) ? false : text);
  }
  const isTime = DataType.isTimestamp(type) || DataType.isDate(type) || DataType.isTime(type);
  return isTime || DataType.isDuration(type) || DataType.isDecimal(type) ? (text) => text : undefined;
}

/** Accepts the words for infinity and NaN that Spark accepts. */
function toFloat(text: string): unknown {
  if (/^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text)) return Number(text);
  if (/^[+-]?inf(?:inity)?$/i.test(text)) return text.startsWith("-") ? -Infinity : Infinity;
  return /^nan$/i.test(text) ? Number.NaN : text;
}
