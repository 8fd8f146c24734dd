import { spawnSync } from "node:child_process";

/**
 * `npm run check`: runs the checks that do not run the code. An exception from a check is a comment
 * beside the code that says why.
 */

/**
 * Arguments of jscpd, which finds equal code, regardless of comments and layout. Code between
 * `jscpd:ignore-start` and `jscpd:ignore-end` is not compared, and imports are not: both ledgers
 * need the same ones.
 */
const CLONES = [
  ...["node_modules/jscpd/run-jscpd.js", "--mode=weak", "--format=typescript", "--min-lines=8"],
  ...["--exit-code=1", "--fail-on-empty", "--no-tips", "--reporters=xcode"],
  ...["--ignore-pattern=import [^;]*;", "."],
];

/** The programs and their arguments, by the name of the check. */
const CHECKS: Readonly<Record<string, readonly string[]>> = {
  "format and lint": [
    ...["node_modules/@biomejs/biome/bin/biome", "check", "--error-on-warnings"],
    ...["--max-diagnostics=none", "."],
  ],
  // Biome's own rule misses promises of packages, such as those of the AWS SDK.
  promises: ["node_modules/oxlint/bin/oxlint", "--type-aware", "--format=unix", "."],
  borders: ["scripts/borders.ts"],
  words: ["scripts/words.ts"],
  // Functions that differ only in names and in one or two lines are clones, too.
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
