import type { DataSourceClass } from "./data-source.ts";
import { MillraceError } from "./errors.ts";
import { suggest } from "./suggest.ts";

const registered = new Map<string, DataSourceClass<never>>();

/**
 * Lets pipelines name a data source: `.format("rest-api")`. Names are case-insensitive; the last
 * one registered wins, as in Spark.
 */
export function registerDataSource(dataSource: DataSourceClass<never>): void {
  registered.set(dataSource.name.toLowerCase(), dataSource);
}

/**
 * The classes of this package, by their names and those of formats that they read: they are to be
 * imported, and then registered, too.
 */
const OURS: ReadonlyMap<string, readonly [className: string, folder: string]> = new Map([
  ["arrow-table", ["ArrowTable", "arrow-table"]],
  ["dynamodb", ["DynamoDb", "dynamodb"]],
  ["events", ["Events", "events"]],
  ["files", ["Files", "files"]],
  ["csv", ["Files", "files"]],
  ["json", ["Files", "files"]],
  ["parquet", ["Files", "files"]],
  ["kinesis", ["Kinesis", "kinesis"]],
  ["memory", ["Memory", "memory"]],
  ["postgres", ["Postgres", "postgres"]],
  ["rate", ["Rate", "rate"]],
  ["rate-micro-batch", ["RateMicroBatch", "rate"]],
  ["rest-api", ["RestApi", "rest-api"]],
  ["sqs", ["Sqs", "sqs"]],
]);
/** What the option `format` of `files` is for a format of Spark. */
const FILE_FORMATS: ReadonlyMap<string, string> = new Map([
  ["csv", "csv"],
  ["json", "jsonl"],
  ["parquet", "parquet"],
]);

/** The data source of that name. Error: `DATA_SOURCE_NOT_FOUND`. */
export function findDataSource(name: string): DataSourceClass<never> {
  const found = registered.get(name.toLowerCase());
  if (found !== undefined) return found;
  throw new MillraceError(
    "DATA_SOURCE_NOT_FOUND",
    `no data source is registered as "${name}"${suggest(name, [...registered.keys()])}`,
    { hint: hintFor(name) },
  );
}

function hintFor(name: string): string {
  const [className, folder] = OURS.get(name.toLowerCase()) ?? [];
  if (className === undefined)
    return `Call registerDataSource(YourClass) before .format("${name}"), or pass the class itself: .format(YourClass).`;
  const imported = `import { ${className} } from "millrace/connectors/${folder}";`;
  const format = FILE_FORMATS.get(name.toLowerCase());
  return format === undefined
    ? `Write ${imported} registerDataSource(${className}); or pass the class itself: .format(${className}).`
    : `Files are read by ${className}: ${imported} then .format(${className}).option("format", "${format}").`;
}
