import type { DataSourceClass } from "./data-source.ts";
import { MillraceError } from "./errors.ts";
import { suggest } from "./options.ts";

const registered = new Map<string, DataSourceClass<never>>();

/** Lets pipelines name a data source: `.format("rest-api")`. Names are case-insensitive; the last one registered wins, as in Spark. */
export function registerDataSource(dataSource: DataSourceClass<never>): void {
  registered.set(dataSource.name.toLowerCase(), dataSource);
}

/** The data source of that name. Error: `DATA_SOURCE_NOT_FOUND`. */
export function findDataSource(name: string): DataSourceClass<never> {
  const found = registered.get(name.toLowerCase());
  if (found !== undefined) return found;
  throw new MillraceError(
    "DATA_SOURCE_NOT_FOUND",
    `no data source is registered as "${name}"${suggest(name, [...registered.keys()])}`,
    {
      hint: `Call registerDataSource(YourClass) before .format("${name}"), or pass the class itself: .format(YourClass).`,
    },
  );
}
