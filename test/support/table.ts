import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { filesBelow } from "./process.ts";

/** Returns the data files that the log names. It reads the log without Millrace. */
export function namedFiles(table: string): string[] {
  const log = join(table, "_log");
  if (!existsSync(log)) return [];
  return readdirSync(log)
    .filter((name) => name.endsWith(".json"))
    .flatMap((name) => (JSON.parse(readFileSync(join(log, name), "utf8")) as { add: { path: string }[] }).add)
    .map((file) => file.path)
    .sort();
}

/** All files below `data`. */
export function stagedFiles(table: string): string[] {
  const data = join(table, "data");
  return existsSync(data) ? filesBelow(data).map((file) => `data/${file}`) : [];
}
