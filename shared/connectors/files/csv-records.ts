import { parse } from "csv-parse";
import { MalformedRowError } from "../kit/malformed.ts";
import type { FileBytes } from "./bytes.ts";
import { hasStray, type LineBreaks, lineBreaksOf } from "./line-breaks.ts";
import type { ParsedOptions } from "./options.ts";
import { textOf } from "./text.ts";

/**
 * Maximum size of a record. It makes an unclosed quote an error before the record fills the memory.
 */
const MAX_RECORD_BYTES = 16 * 1024 * 1024;

const PROBLEMS: Readonly<Record<string, string>> = {
  CSV_INVALID_CLOSING_QUOTE: "a quote within quotes is neither doubled nor followed by a delimiter",
  CSV_NON_TRIMABLE_CHAR_AFTER_CLOSING_QUOTE: "a quoted field has text after its quote",
  INVALID_OPENING_QUOTE:
    'a quote in a field that does not begin with one (where only spaces stand before it, set `trim: true`; where quotes are plain text, set `quote: ""`)',
  CSV_QUOTE_NOT_CLOSED: "a quote is never closed",
  CSV_MAX_RECORD_SIZE: `it has more than ${MAX_RECORD_BYTES} bytes`,
};

/** A record of a CSV file. A field is null if its text, without quotes, is that of `nullValue`. */
export interface CsvRecord {
  readonly record: readonly (string | null)[];
  /** The line in which the record ends. */
  readonly line: number;
  /** Present if the record has not as many fields as the first one. */
  readonly problem?: MalformedRowError;
}

/** Yields the records of each piece of the file, header included. */
export async function* csvRecords(file: FileBytes, options: ParsedOptions): AsyncGenerator<CsvRecord[]> {
  let parser: CsvParser | undefined;
  let head = "";
  for await (const text of textOf(file, options.encoding)) {
    if (parser !== undefined) {
      yield* parser.write(text);
      continue;
    }
    head += text;
    const breaks = lineBreaksOf(head, head.length > MAX_RECORD_BYTES, options);
    if (breaks === undefined) continue;
    parser = new CsvParser(options, breaks);
    yield* parser.write(head);
  }
  if (parser === undefined) {
    const breaks = lineBreaksOf(head, true, options);
    if (breaks === undefined) return;
    parser = new CsvParser(options, breaks);
    yield* parser.write(head);
  }
  yield* parser.end();
}

class CsvParser {
  readonly #parser: ReturnType<typeof parse>;
  readonly #stray: LineBreaks["stray"];
  #records: CsvRecord[] = [];
  /** The number of fields in the first record. */
  #fields: number | undefined;
  #emptyLines = 0;
  #mayHaveStray = false;

  constructor(options: ParsedOptions, { ends, stray }: LineBreaks) {
    const { delimiter, quote, nullValue, comment } = options;
    this.#stray = stray;
    this.#parser = parse({
      delimiter,
      quote: quote === "" ? null : quote,
      escape: quote === "" ? null : (options.escape ?? quote),
      record_delimiter: [...ends],
      ...(comment === undefined ? {} : { comment, comment_no_infix: true }),
      trim: options.trim,
      // The number of fields is compared below, so that the records after a wrong one are read.
      relax_column_count: true,
      skip_empty_lines: options.emptyLines !== "null",
      max_record_size: MAX_RECORD_BYTES,
      cast: (text, { quoting, lines }) => {
        if (quoting) return text;
        if (this.#mayHaveStray && text.includes(stray ?? "\n")) throw strayBreak(lines, stray);
        return text === nullValue ? null : text;
      },
      // Collects the records in an array. Awaiting them one by one from the stream is slow.
      on_record: (record: CsvRecord["record"], { lines, empty_lines }) => {
        if (empty_lines > this.#emptyLines) this.#checkEmptyLines(record, lines, empty_lines, options);
        this.#fields ??= record.length;
        const isWhole = record.length === this.#fields;
        this.#records.push({
          record,
          line: lines,
          ...(isWhole ? {} : { problem: this.#wrongCount(record, lines) }),
        });
        return null;
      },
    });
    // The write or end call that fails returns the error; without a listener the event would crash
    // the process.
    this.#parser.on("error", () => undefined);
  }

  /** Yields the records before a failure first, so that rows are counted correctly in the error. */
  async *write(text: string): AsyncGenerator<CsvRecord[]> {
    this.#mayHaveStray ||= hasStray(text, this.#stray);
    yield* this.#recordsOf((done) => this.#parser.write(text, done));
  }

  async *end(): AsyncGenerator<CsvRecord[]> {
    yield* this.#recordsOf((done) => this.#parser.end(done));
  }

  async *#recordsOf(call: (done: (error?: Error | null) => void) => unknown): AsyncGenerator<CsvRecord[]> {
    const failure = await new Promise<Error | null | undefined>((resolve) => call(resolve));
    const records = this.#records;
    this.#records = [];
    yield records;
    if (failure) throw this.#malformed(failure);
  }

  /** In a file of one column an empty line between rows may be a row whose value is empty. */
  #checkEmptyLines(
    record: CsvRecord["record"],
    line: number,
    emptyLines: number,
    options: ParsedOptions,
  ): void {
    this.#emptyLines = emptyLines;
    if (this.#fields === undefined || record.length > 1 || options.emptyLines !== undefined) return;
    throw new MalformedRowError(
      `there is an empty line before line ${line}, which may be a row, because the file has one column`,
      { hint: 'Set `emptyLines: "null"` to read it as a row, or `emptyLines: "skip"`.' },
    );
  }

  #malformed(error: Error): Error {
    if (!("code" in error && typeof error.code === "string" && "lines" in error)) return error;
    const problem = PROBLEMS[error.code] ?? error.code;
    // Leaves out the stack of the parser's error, which does not help the user.
    return new MalformedRowError(`the record that ends in line ${error.lines}: ${problem}`, {
      cause: error.message,
    });
  }

  #wrongCount({ length }: CsvRecord["record"], line: number): MalformedRowError {
    return new MalformedRowError(
      `the record that ends in line ${line}: it has not as many fields as the first one: ${length}, not ${this.#fields}`,
    );
  }
}

function strayBreak(line: number, stray: LineBreaks["stray"]): MalformedRowError {
  const [name, kept] = stray === "\r" ? ["carriage return (\\r)", "\\n"] : ["line feed (\\n)", "\\r"];
  return new MalformedRowError(
    `the record that ends in line ${line}: a ${name} outside of quotes, while other lines end differently`,
    {
      hint: `Set \`lineBreak: "any"\` if it ends a line, or \`lineBreak: "${kept}"\` if it belongs to the value.`,
    },
  );
}
