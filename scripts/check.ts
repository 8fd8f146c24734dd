import { spawnSync } from "node:child_process";

/**
 * `npm run check`: checks of the code that do not run it. An exception is a comment beside the code
 * that says why.
 */

/**
 * Finds equal code, regardless of comments and layout. An exception is put between
 * `jscpd:ignore-start` and `jscpd:ignore-end`.
 */
const CLONES = [
  ...["node_modules/jscpd/run-jscpd.js", "--mode=weak", "--format=typescript", "--min-lines=8"],
  ...["--exit-code=1", "--fail-on-empty", "--no-tips", "--reporters=xcode", "."],
];

/** Programs and their arguments, by the name of the check. */
const CHECKS: Readonly<Record<string, readonly string[]>> = {
  "format and lint": [
    ...["node_modules/@biomejs/biome/bin/biome", "check", "--error-on-warnings"],
    ...["--max-diagnostics=none", "."],
  ],
  // Biome's own rule misses promises of packages, such as those of the AWS SDK.
  promises: ["node_modules/oxlint/bin/oxlint", "--type-aware", "--format=unix", "."],
  borders: ["scripts/borders.ts"],
  words: ["scripts/words.ts"],
  // Functions that differ only in names and a line or two are copies, too.
  clones: [...CLONES, "--min-tokens=85", "--similarity=0.9", "--ignore=test/**"],
  // A test may repeat code that keeps it readable on its own.
  "clones in tests": [...CLONES, "--min-tokens=110", "--pattern=test/**"],
};

for (const [name, args] of Object.entries(CHECKS)) {
  console.log(`\n— ${name}`);
  const { status } = spawnSync(process.execPath, args, { stdio: "inherit" });
  if (status === 0) continue;
  console.error(`✗ ${name}`);
  process.exitCode = 1;
}
