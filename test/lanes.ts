import { globSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { parseSync } from "oxc-parser";
import { ROOT } from "./support/root.ts";

/**
 * Divides the test files into lanes. A file belongs to `npm run test:processes` if it imports
 * `node:child_process`, directly or through helpers in `test` and `scripts`. All other files belong
 * to `npm run test:fast`, except those in test/localstack, which belong to `npm run test:aws`.
 */

/** Returns the paths of the test files of both lanes, relative to the project's root. */
export function lanes(): { readonly fast: readonly string[]; readonly processes: readonly string[] } {
  const files = globSync("test/**/*.test.ts", { cwd: ROOT, exclude: ["test/localstack/**"] }).sort();
  const known = new Map<string, boolean>();
  const processes = files.filter((file) => startsProcesses(file, known));
  return { fast: files.filter((file) => !processes.includes(file)), processes };
}

function startsProcesses(file: string, known: Map<string, boolean>): boolean {
  const found = known.get(file);
  if (found !== undefined) return found;
  known.set(file, false); // The value `false` ends the search in a circle of imports.
  const imports = importsOf(file);
  const helpers = imports
    .filter((name) => name.startsWith(".") && name.endsWith(".ts"))
    .map((name) => relative(ROOT, join(ROOT, dirname(file), name)))
    .filter((path) => /^(?:test|scripts)\//.test(path));
  const starts =
    imports.includes("node:child_process") || helpers.some((helper) => startsProcesses(helper, known));
  known.set(file, starts);
  return starts;
}

/**
 * Returns the modules that a file imports with `import` statements. Calls of `import()` do not
 * count, because they are in code that a test runs in another process.
 */
function importsOf(file: string): readonly string[] {
  const { module } = parseSync(file, readFileSync(join(ROOT, file), "utf8"));
  return module.staticImports.map(({ moduleRequest }) => moduleRequest.value);
}
