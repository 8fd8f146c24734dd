import * as z from "zod";

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
   * If `"null"`, a column of the schema that a file does not have is null. Default `"error"`: it is
   * an error.
   */
  readonly missingColumns?: "error" | "null";
  /**
   * CSV: true (default) if the first record has the column names; false if the fields are in the
   * order of the schema.
   */
  readonly header?: boolean;
  /** CSV: the character between fields. Default `,`. */
  readonly delimiter?: string;
  /**
   * CSV: the character around a field that contains delimiters, quotes or line breaks. Default `"`.
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
  missingColumns: z.enum(["error", "null"]).default("error"),
  header: z.boolean().default(true),
  delimiter: character.default(","),
  quote: character.default('"'),
  escape: character.optional(),
  nullValue: z.string().default(""),
  trim: z.boolean().default(false),
});

/** The options with their defaults. */
export type ParsedOptions = z.output<typeof OPTIONS>;
