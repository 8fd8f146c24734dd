import * as z from "zod";

/** Where the files are, what is in them, and how many are read at once. */
export interface FilesOptions {
  /** A folder, absolute or relative to the working directory, or `s3://bucket/prefix`. */
  readonly path: string;
  /**
   * `csv` and `jsonl` may be compressed, by the end of their names: `.gz`, `.zst`. `arrow`: IPC
   * files and streams.
   */
  readonly format: "csv" | "jsonl" | "arrow" | "parquet";
  /**
   * A glob for names relative to `path`: `**\/*.csv`. Default: every file. Names, and folders, that
   * begin with `.` or `_` are never read, as in Spark.
   */
  readonly pattern?: string;
  /**
   * `time` (default): all files are listed, and those that were not read yet are read, oldest
   * first. `key`: only names after the last one read are listed: for names that grow.
   */
  readonly order?: "time" | "key";
  /**
   * A file is read once it is older than this. With `order: "key"`, longer than any file takes to
   * be written. Default 2.
   */
  readonly settleSeconds?: number;
  /**
   * True: a file that changed after it was read is read again, as a whole. Default false: it is an
   * error. (Auto Loader: `cloudFiles.allowOverwrites`.)
   */
  readonly allowOverwrites?: boolean;
  /**
   * True: a file that is gone, or changed, by the time its batch reads it is passed over. Default
   * false: it is an error. (Spark: `ignoreMissingFiles`.)
   */
  readonly ignoreMissingFiles?: boolean;
  /** Files of one batch at most. Default 1000. */
  readonly maxFilesPerBatch?: number;
  /** Bytes of one batch at most, but always one file. Default: any number. */
  readonly maxBytesPerBatch?: number;
  /** Files of one partition, which one task reads, at most. Default 100. */
  readonly maxFilesPerPartition?: number;
  /** Bytes of one partition at most, but always one file. Default 67108864 (64 MiB). */
  readonly maxBytesPerPartition?: number;
  /**
   * CSV: true (default) if the first record has the names of the columns; false if columns
   * are in the order of the schema.
   */
  readonly header?: boolean;
  /** CSV: what separates fields. Default `,`. */
  readonly delimiter?: string;
  /** CSV: what surrounds a field that has delimiters, quotes or line breaks in it. Default `"`. */
  readonly quote?: string;
  /** CSV: what stands before a quote within quotes. Default: the quote. */
  readonly escape?: string;
  /** CSV: the field, without quotes, that is null. Default: the empty one. */
  readonly nullValue?: string;
  /**
   * CSV: true if spaces around fields, and around names in the header, count for nothing.
   * Default false. (Spark: `ignoreLeadingWhiteSpace`, `ignoreTrailingWhiteSpace`.)
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
  header: z.boolean().default(true),
  delimiter: character.default(","),
  quote: character.default('"'),
  escape: character.optional(),
  nullValue: z.string().default(""),
  trim: z.boolean().default(false),
});

/** Options with their defaults. */
export type ParsedOptions = z.output<typeof OPTIONS>;
