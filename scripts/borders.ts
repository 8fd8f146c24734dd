import { readFileSync, writeFileSync } from "node:fs";
import { checkBorders, type Files, type Manifest } from "./borders/borders.ts";
import { sourcePaths } from "./borders/source-paths.ts";
import { withTable } from "./borders/table.ts";

/**
 * `npm run borders`: checks imports against the allow-list in scripts/borders/rooms.ts. `--update`
 * rewrites the table of folders in docs/architecture.md.
 */

const PAGE = "docs/architecture.md";
const read = (path: string): string => readFileSync(path, "utf8");

const page = read(PAGE);
const current = withTable(page);
if (process.argv.includes("--update")) writeFileSync(PAGE, current);
else if (page !== current) refuse(`${PAGE} has another table of rooms: npm run borders:update`);

const files: Files = new Map(sourcePaths().map((path) => [path, read(path)]));
for (const line of checkBorders(files, JSON.parse(read("package.json")) as Manifest)) refuse(line);

function refuse(line: string): void {
  console.error(line);
  process.exitCode = 1;
}
