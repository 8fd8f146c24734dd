import { matchesGlob } from "./node.ts";
import type { ParsedOptions } from "./options.ts";

/** Suffixes of compressed files and archives that cannot be read. */
const NOT_SUPPORTED =
  /\.(?:bz2?|bzip2|zip|xz|lzma|lz4|lzo|br|z|7z|rar|snappy|deflate|tgz|tbz2?|txz|tar(?:\.(?:gz|zst))?)$/i;

/** Returns how a text file is compressed, by the end of its name in any case. */
export function compressionOf(key: string): "gzip" | "zstd" | undefined {
  if (/\.gz$/i.test(key)) return "gzip";
  return /\.zst$/i.test(key) ? "zstd" : undefined;
}

/**
 * Returns true for names that the source reads. As in Spark, names and folder names that begin with
 * `.` or `_` are left out: other programs use them for metadata and for files that they are still
 * writing. A pattern that names them, such as `_*.csv`, includes them. The empty objects that the
 * S3 console creates as folders are always left out.
 */
export function isSelected(key: string, { pattern }: Pick<ParsedOptions, "pattern">): boolean {
  if (key.endsWith("/")) return false;
  if (pattern === undefined) return !isHidden(key);
  return matchesGlob(key, pattern) && (namesHidden(pattern) || !isHidden(key));
}

function isHidden(key: string): boolean {
  return /(?:^|\/)[._]/.test(key);
}

function namesHidden(pattern: string): boolean {
  return /(?:^|[/{,])[._]/.test(pattern);
}

/** Returns why a file of this name cannot be read, or `undefined`. */
export function nameProblem(key: string, { format }: Pick<ParsedOptions, "format">): string | undefined {
  if (key.includes("\\")) return "has a backslash in its name";
  if (key.includes("\0")) return "has a character of zero in its name";
  if (key.split("/").some((part) => part === "" || part === "." || part === ".."))
    return 'has an empty part, "." or ".." in its name';
  if ((format === "csv" || format === "jsonl") && NOT_SUPPORTED.test(key))
    return "is compressed in a way that is not supported: only gzip (.gz) and zstd (.zst) are";
  return undefined;
}
