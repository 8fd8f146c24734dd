import { globSync } from "node:fs";

/** Returns the paths of all code of the repository, except installed, built and hidden files. */
export function sourcePaths(): string[] {
  const skipped = (name: string) => /^(\.|node_modules$|dist$|cdk\.out$)/.test(name);
  const exclude = (path: string) => skipped(path.slice(path.lastIndexOf("/") + 1));
  return globSync("**/*.{ts,mts,cts,js,mjs,cjs}", { exclude }).sort();
}
