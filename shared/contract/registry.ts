import type { DataSourceClass } from "./data-source.ts";
import { MillraceError } from "./errors.ts";
import { suggest } from "./suggest.ts";

const registered = new Map<string, DataSourceClass<never>>();

/**
 * Registers a data source, so that pipelines can select it by name: `.format("rest-api")`. Names
 * are case-insensitive. As in Spark, a second registration of a name replaces the first.
 */
export function registerDataSource(dataSource: DataSourceClass<never>): void {
  registered.set(dataSource.name.toLowerCase(), dataSource);
}

/**
 * The connectors of this package, by their names and by the names of formats that they read. They
 * are not registered until the user imports and registers them; this list is for the hint.
 */
const BUILT_IN: ReadonlyMap<string, readonly [className: string, folder: string]> = new Map([
  ["arrow-table", ["ArrowTable", "arrow-table"]],
  ["dynamodb", ["DynamoDb", "dynamodb"]],
  ["events", ["Events", "events"]],
  ["files", ["Files", "files"]],
  ["csv", ["Files", "files"]],
  ["json", ["Files", "files"]],
  ["parquet", ["Files", "files"]],
  ["iceberg", ["Iceberg", "iceberg"]],
  ["kinesis", ["Kinesis", "kinesis"]],
  ["memory", ["Memory", "memory"]],
  ["postgres", ["Postgres", "postgres"]],
  ["rate", ["Rate", "rate"]],
  ["rate-micro-batch", ["RateMicroBatch", "rate"]],
  ["rest-api", ["RestApi", "rest-api"]],
  ["sqs", ["Sqs", "sqs"]],
]);
/** Maps Spark's format names to values of the option `format` of `files`. */
const FILE_FORMATS: ReadonlyMap<string, string> = new Map([
  ["csv", "csv"],
  ["json", "jsonl"],
  ["parquet", "parquet"],
]);

/** Returns the registered data source of that name. Throws `DATA_SOURCE_NOT_FOUND`. */
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
  const [className, folder] = BUILT_IN.get(name.toLowerCase()) ?? [];
  if (className === undefined)
    return `Call registerDataSource(YourClass) before .format("${name}"), or pass the class itself: .format(YourClass).`;
  const imported = `import { ${className} } from "millrace/connectors/${folder}";`;
  const format = FILE_FORMATS.get(name.toLowerCase());
  return format === undefined
    ? `Write ${imported} registerDataSource(${className}); or pass the class itself: .format(${className}).`
    : `Files are read by ${className}: ${imported} then .format(${className}).option("format", "${format}").`;
}
