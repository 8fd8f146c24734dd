import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { filesBelow } from "./process.ts";

/** Returns the data files in the log of a table. Reads the log without Millrace. */
export function namedFiles(table: string): string[] {
  const log = join(table, "_log");
  if (!existsSync(log)) return [];
  return readdirSync(log)
    .filter((name) => name.endsWith(".json"))
    .flatMap((name) => (JSON.parse(readFileSync(join(log, name), "utf8")) as { add: { path: string }[] }).add)
    .map((file) => file.path)
    .sort();
}

/** Returns all files below `data` of a table. */
export function stagedFiles(table: string): string[] {
  const data = join(table, "data");
  return existsSync(data) ? filesBelow(data).map((file) => `data/${file}`) : [];
}
