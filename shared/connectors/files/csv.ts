import type { Schema } from "apache-arrow";
import { show } from "../../contract/errors.ts";
import type { Row } from "../../contract/stream-reader.ts";
import { checkColumnNames, type Misnamed, quoted } from "../kit/column-names.ts";
import { MalformedFileError, MalformedRowError } from "../kit/malformed.ts";
import { BadRecord, type FileRow, KeptRow, type RecordContent } from "./bad-record.ts";
import type { FileBytes } from "./bytes.ts";
import { checkMissing, checkNotInFolders } from "./columns.ts";
import { type CsvRecord, csvRecords } from "./csv-records.ts";
import { epochUnit } from "./epoch.ts";
import type { ParsedOptions } from "./options.ts";
import { textConverter } from "./text-values.ts";

/** Maximum number of header columns in an error message. */
const MAX_FOUND = 10;

/**
 * Reads the rows of a CSV file (RFC 4180), with values in the order of the schema. Empty lines are
 * skipped, but see the option `emptyLines`.
 */
export async function* readCsv(
  file: FileBytes,
  schema: Schema,
  options: ParsedOptions,
  keepsContent: boolean,
): AsyncGenerator<Iterable<FileRow>> {
  const converters = convertersOf(schema, options);
  let positions: readonly number[] | undefined;
  let header: CsvRecord["record"] | undefined;
  for await (const records of csvRecords(file, options)) {
    const [first] = records;
    if (positions === undefined && first !== undefined) {
      if (options.header) header = records.shift()?.record;
      positions =
        header === undefined
          ? positionsInOrder(schema, first)
          : positionsFromHeader(schema, header, file, options);
    }
    const at = positions ?? [];
    yield checkedRecords(records, header, options).map(({ record, problem }) => {
      if (problem !== undefined) return BadRecord.of(problem, { file: file.key, record });
      const texts = schema.fields.map((_, i) => record[at[i] ?? -1] ?? null);
      const content = (): RecordContent => ({
        file: file.key,
        fields: Object.fromEntries(schema.fields.map(({ name }, i) => [name, texts[i] ?? null])),
      });
      try {
        const row = converters.map((convert, i) => converted(convert, texts[i]));
        return keepsContent ? new KeptRow(row, content()) : row;
      } catch (error) {
        return BadRecord.of(error, content());
      }
    });
  }
}

type TextConverter = ReturnType<typeof textConverter>;

function convertersOf({ fields }: Schema, { binary, epoch }: ParsedOptions): readonly TextConverter[] {
  return fields.map(({ type, name }) => textConverter(type, name, { binary, epoch: epochUnit(epoch, name) }));
}

function converted(convert: TextConverter, text: string | null | undefined): unknown {
  return text === null || text === undefined ? null : convert(text);
}

/** Returns what makes a row of the texts of a record that was read before. */
export function fieldsReader(
  schema: Schema,
  options: ParsedOptions,
): (fields: Readonly<Record<string, string | null>>) => Row {
  const converters = convertersOf(schema, options);
  return (fields) =>
    schema.fields.map(({ name }, i) => {
      const text = fields[name];
      return converted(converters[i] as TextConverter, text === options.nullValue ? null : text);
    });
}

/** Yields the records. A record that is the header again is an error, or left out by an option. */
function checkedRecords(
  records: readonly CsvRecord[],
  header: CsvRecord["record"] | undefined,
  { repeatedHeader }: ParsedOptions,
): IteratorObject<CsvRecord> {
  if (header === undefined || repeatedHeader === "row") return records.values();
  const isHeader = ({ record }: CsvRecord) =>
    record[0] === header[0] && record.every((text, i) => text === header[i]);
  if (repeatedHeader === "skip") return records.values().filter((item) => !isHeader(item));
  const at = records.findIndex(isHeader);
  return at < 0 ? records.values() : upToHeader(records, at);
}

/** Yields the records before a header first, so that rows are counted correctly in the error. */
function* upToHeader(records: readonly CsvRecord[], at: number): Generator<CsvRecord> {
  yield* records.slice(0, at);
  throw new MalformedRowError(`the record that ends in line ${records[at]?.line} is the header again`, {
    hint: 'Set `repeatedHeader: "skip"` to leave it out, or `repeatedHeader: "row"` to read it as a row.',
  });
}

/**
 * Returns the position of each schema column in the header; -1, which reads as null, if the file
 * does not have it and the options allow it. Error: `COLUMN_MISNAMED`.
 */
function positionsFromHeader(
  schema: Schema,
  header: CsvRecord["record"],
  file: FileBytes,
  options: ParsedOptions,
): readonly number[] {
  const names = header.map((name) => name ?? "");
  const columns = schema.fields.map(({ name }) => name);
  const broken = names.find((name) => /[\r\n]/.test(name) && columns.includes(name.split(/[\r\n]/)[0] ?? ""));
  if (broken !== undefined) {
    throw new MalformedFileError(
      "its header has a line break within a name, and so may have swallowed rows",
      {
        hint: 'Set `lineBreak: "any"`, or name the column in .schema(…) with its line break.',
      },
    );
  }
  const positions = columns.map((column) => {
    const position = names.indexOf(column);
    if (position !== names.lastIndexOf(column))
      throw new MalformedFileError(`its header has "${column}" twice`);
    return position;
  });
  checkNotInFolders(names, file, options);
  checkColumnNames(columns, names, { schema: ".schema(…)", orElse: trimHint });
  if (positions.some((position) => position >= 0)) {
    checkMissing(columns, names, options);
    return positions;
  }
  const count = names.length === 1 ? "1 column" : `${names.length} columns`;
  throw new MalformedFileError(`its header has ${count}, and none of the schema's: ${quoted(columns)}`, {
    hint: "Set `delimiter` to what separates the fields, set `header: false` where the first line is a row, or call the columns in .schema(…) as the header does.",
    // If the file has no header, these are values of its first row, so they are not in the message.
    found: show(names.slice(0, MAX_FOUND)),
  });
}

function trimHint(misnamed: readonly Misnamed[]): string {
  return misnamed.some(({ column, found }) => found !== column && found.trim() === column)
    ? ", or set `trim: true`: spaces around fields are then left out"
    : "";
}

function positionsInOrder({ fields }: Schema, { record, line }: CsvRecord): readonly number[] {
  if (record.length === fields.length) return fields.map((_, i) => i);
  throw new MalformedRowError(
    `the record that ends in line ${line} has ${record.length} fields, the schema ${fields.length} columns`,
    { hint: "Set `delimiter` to what separates the fields, or give in .schema(…) a column for each field." },
  );
}
