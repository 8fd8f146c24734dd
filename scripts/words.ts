import { globSync, readFileSync } from "node:fs";
import { sourcePaths } from "./borders/source-paths.ts";
import { PAGES, problemsOfCode, problemsOfPage } from "./words/words.ts";

/** `node scripts/words.ts`: checks comments, names of tests and wrapped pages. */

const read = (path: string): string => readFileSync(path, "utf8");

const pages = PAGES.map((pattern) => [pattern, globSync(pattern).sort()] as const);
const problems = [
  ...sourcePaths().flatMap((path) => problemsOfCode(path, read(path))),
  ...pages.filter(([, paths]) => paths.length === 0).map(([pattern]) => `${pattern}: there is no such page`),
  ...pages.flatMap(([, paths]) => paths.flatMap((path) => problemsOfPage(path, read(path)))),
];
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exitCode = 1;
