import * as z from "zod";
import { isEncoding } from "./encoding.ts";
import type { EpochOption } from "./epoch.ts";

/** The location and format of the files, and how many are read at once. */
export interface FilesOptions {
  /** A folder, absolute or relative to the working directory, or `s3://bucket/prefix`. */
  readonly path: string;
  /**
   * The format of the files. `csv` and `jsonl` files may be compressed if their names end in `.gz`
   * or `.zst`. `arrow` accepts IPC files and IPC streams.
   */
  readonly format: "csv" | "jsonl" | "arrow" | "parquet";
  /**
   * A glob for names relative to `path`, such as `**\/*.csv`. Default: every file. As in Spark,
   * files and folders whose names begin with `.` or `_` are never read.
   */
  readonly pattern?: string;
  /**
   * How new files are found. `time` (default): all files are listed, and unread ones are read,
   * oldest first. `key`: only names after the last one read are listed; use it if each new file's
   * name sorts after the earlier ones.
   */
  readonly order?: "time" | "key";
  /**
   * A file is read once it is older than this many seconds. With `order: "key"` it must be longer
   * than writing any file takes. Default 2.
   */
  readonly settleSeconds?: number;
  /**
   * If true, a file that changed after it was read is read again completely. Default false: the
   * change is an error. (Auto Loader: `cloudFiles.allowOverwrites`.)
   */
  readonly allowOverwrites?: boolean;
  /**
   * If true, a file that was deleted or changed after its batch was planned is skipped. Default
   * false: it is an error. (Spark: `ignoreMissingFiles`.)
   */
  readonly ignoreMissingFiles?: boolean;
  /** Maximum number of files in a batch. Default 1000. */
  readonly maxFilesPerBatch?: number;
  /** Maximum number of bytes in a batch, which always has at least one file. Default: no limit. */
  readonly maxBytesPerBatch?: number;
  /** Maximum number of files in a partition, which one task reads. Default 100. */
  readonly maxFilesPerPartition?: number;
  /**
   * Maximum number of bytes in a partition, which always has at least one file. Default 67108864
   * (64 MiB).
   */
  readonly maxBytesPerPartition?: number;
  /**
   * If true, `path` may be missing, or have no object in S3 before the first file was read. Default
   * false: it is an error, because the path may be misspelt or not mounted.
   */
  readonly ignoreMissingPath?: boolean;
  /**
   * If true, entries of the folder that cannot be read are left out: symbolic links, sockets, names
   * that are not UTF-8, other compressions, folders without rights. Default false: they are an
   * error, unless `pattern` excludes them.
   */
  readonly ignoreUnreadable?: boolean;
  /**
   * Folders such as `day=2026-11-21`. `read` (default): they are columns, which the schema must
   * have. `ignore`: their values are not read.
   */
  readonly folderColumns?: "read" | "ignore";
  /**
   * CSV and JSON lines: the encoding of the text, such as `utf-16le`, `latin1`, `windows-1252` or
   * another label of `TextDecoder`. `utf-16` needs a byte order mark. Default `utf-8`.
   */
  readonly encoding?: string;
  /**
   * CSV and JSON lines: the unit of numbers in columns of the type `timestamp`, for all columns or
   * by name. Default: such a number is an error.
   */
  readonly epoch?: EpochOption;
  /**
   * CSV and JSON lines: how the text of `binary` columns is written. Default `base64`. `hex` may
   * begin with `\x`, as PostgreSQL writes it.
   */
  readonly binary?: "base64" | "hex";
  /**
   * CSV and Parquet: what is done about a column of the schema that a file does not have: `error`
   * (default) or `null`, for example if the column was added to the feed later. A file that has none of the
   * columns is always an error.
   */
  readonly missingColumns?: "error" | "null";
  /**
   * CSV: true (default) if the first record has the column names; false if the fields are in the
   * order of the schema.
   */
  readonly header?: boolean;
  /**
   * CSV: a record that equals the header. `skip` leaves it out, `row` reads it. Default: it is an
   * error.
   */
  readonly repeatedHeader?: "skip" | "row";
  /**
   * CSV: what ends a record. `auto` (default): `\n` and `\r\n`, or `\r` if the first line ends
   * with it; another line break outside of quotes is an error. `any`: each of the three.
   */
  readonly lineBreak?: "auto" | "any" | "\n" | "\r\n" | "\r";
  /**
   * CSV with one column: what an empty line between rows is: a row with null, or nothing. Default:
   * it is an error. With more columns empty lines are skipped.
   */
  readonly emptyLines?: "skip" | "null";
  /** CSV: the text with which a comment line begins. Default: there are no comments. */
  readonly comment?: string;
  /** CSV: the text between fields. Default `,`. */
  readonly delimiter?: string;
  /**
   * CSV: the character around a field that contains delimiters, quotes or line breaks. Default `"`.
   * The empty text turns quotes into plain text.
   */
  readonly quote?: string;
  /** CSV: the character before a quote inside a quoted field. Default: the value of `quote`. */
  readonly escape?: string;
  /** CSV: the unquoted text that means null. Default: the empty text. */
  readonly nullValue?: string;
  /**
   * CSV: if true, spaces around fields and around header names are removed. Default false. (Spark:
   * `ignoreLeadingWhiteSpace`, `ignoreTrailingWhiteSpace`.)
   */
  readonly trim?: boolean;
}

const count = z.int().positive();
const character = z.string().length(1);
const unit = z.enum(["seconds", "milliseconds", "microseconds", "nanoseconds"]);
/** Line breaks and quotes would not be told from the text that the option stands for. */
const mark = z.string().regex(/^[^\r\n]+$/, "must have one character or more, and no line break");

export const OPTIONS = z.strictObject({
  path: z.string().min(1),
  format: z.enum(["csv", "jsonl", "arrow", "parquet"]),
  pattern: z.string().min(1).optional(),
  order: z.enum(["time", "key"]).default("time"),
  settleSeconds: z.number().nonnegative().default(2),
  allowOverwrites: z.boolean().default(false),
  ignoreMissingFiles: z.boolean().default(false),
  maxFilesPerBatch: count.default(1000),
  maxBytesPerBatch: count.optional(),
  maxFilesPerPartition: count.default(100),
  maxBytesPerPartition: count.default(64 * 1024 * 1024),
  ignoreMissingPath: z.boolean().default(false),
  ignoreUnreadable: z.boolean().default(false),
  folderColumns: z.enum(["read", "ignore"]).default("read"),
  missingColumns: z.enum(["error", "null"]).default("error"),
  encoding: z
    .string()
    .refine(isEncoding, "must be an encoding, such as utf-8, utf-16le, latin1 or windows-1252")
    .optional(),
  epoch: z.union([unit, z.record(z.string(), unit)]).optional(),
  binary: z.enum(["base64", "hex"]).optional(),
  header: z.boolean().default(true),
  repeatedHeader: z.enum(["skip", "row"]).optional(),
  lineBreak: z.enum(["auto", "any", "\n", "\r\n", "\r"]).default("auto"),
  emptyLines: z.enum(["skip", "null"]).optional(),
  comment: mark.optional(),
  delimiter: mark.default(","),
  quote: z.union([character, z.literal("")]).default('"'),
  escape: character.optional(),
  nullValue: z.string().default(""),
  trim: z.boolean().default(false),
});

/** The options with their defaults. */
export type ParsedOptions = z.output<typeof OPTIONS>;
