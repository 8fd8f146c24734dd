import { spawnSync } from "node:child_process";
import { cpSync, globSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { PAGES } from "../../scripts/words/words.ts";
import { temporaryFolder } from "../support/folder.ts";
import { ROOT } from "../support/root.ts";

/**
 * Tests the script of `npm run check` on a small copy of the project, with the project's own
 * configuration. Each check must be able to pass and to fail.
 */

const KEPT = [
  ...["package.json", "tsconfig.json", "biome.jsonc", ".oxlintrc.json", ".gitignore"],
  ...["docs/architecture.md", "scripts/check.ts", "scripts/borders.ts", "scripts/borders", "test/borders"],
  ...["scripts/words.ts", "scripts/words", "test/support/folder.ts", "test/support/root.ts"],
  ...globSync([...PAGES], { cwd: ROOT }),
];

const lines = (count: number, line: (n: number) => string) =>
  Array.from({ length: count }, (_, n) => line(n)).join("");

const longFile = (count: number) => lines(count, (n) => `export const long${n} = ${n};\n`);

const longFunction = (count: number) =>
  `export function print(): void {\n${lines(count, (n) => `  console.log("line ${n}");\n`)}}\n`;

/**
 * Returns a function with five nested conditions, which have a complexity of 15. An operator in
 * `condition` adds one.
 */
const nested = (condition: string) =>
  `export function nested(a: boolean, b: boolean): void {\n` +
  lines(5, (n) => `${"  ".repeat(n + 1)}if (${n === 0 ? condition : "a"}) {\n`) +
  `            console.log(b);\n` +
  lines(5, (n) => `${"  ".repeat(5 - n)}}\n`) +
  "}\n";

/** Returns a function of about 120 tokens. */
const copied = (name: string) =>
  `export function ${name}(rows: readonly string[]): string[] {\n  const ${name}s: string[] = [];\n` +
  `  for (const row of rows) {\n` +
  lines(7, (n) => `    if (row.startsWith("${n}")) ${name}s.push(row.slice(${n}));\n`) +
  `  }\n  return ${name}s;\n}\n`;

const FITTING = {
  "local/file.ts": longFile(400),
  "local/function.ts": longFunction(60),
  "local/nested.ts": nested("a"),
  "local/excused.ts": `// biome-ignore lint/complexity/noExcessiveCognitiveComplexity: it is planted\n${nested("a && b")}`,
  "local/once.ts": copied("once"),
  "local/waits.ts": `import { setTimeout } from "node:timers/promises";\n\nvoid setTimeout(1);\nawait setTimeout(1);\n`,
  "test/long.test.ts": longFunction(61).replaceAll("line", "test"),
};

/** Files that break a rule, and the lines that the check must print for them. */
const PLANTED: Readonly<Record<string, readonly [files: Readonly<Record<string, string>>, ...RegExp[]]>> = {
  "an import that is not listed": [
    { "shared/contract/planted.ts": 'import "../../local/once.ts";\n' },
    /^shared\/contract\/planted\.ts:1 imports \.\.\/\.\.\/local\/once\.ts: shared\/contract may not import local, only/m,
    /^✗ borders$/m,
  ],
  "a circle of types": [
    {
      "local/a.ts": 'import type { B } from "./b.ts";\n\nexport type A = B | 1;\n',
      "local/b.ts": 'import type { A } from "./a.ts";\n\nexport type B = A[];\n',
    },
    /^a circle of imports: local\/a\.ts → local\/b\.ts → local\/a\.ts$/m,
  ],
  "another table of rooms": [
    {
      "docs/architecture.md":
        "<!-- made from scripts/borders/rooms.ts by `npm run borders:update` -->\n<!-- end -->\n",
    },
    /^docs\/architecture\.md has another table of rooms: npm run borders:update$/m,
  ],
  "words that are hard to read": [
    {
      "cli/words.ts": `// ${"word ".repeat(20)}\n// What is there.\n`,
      "test/words.test.ts": 'import { it } from "vitest";\n\nit("adds two numbers", () => {});\n',
      "docs/adr/words.md": `${"word ".repeat(21)}\n`,
    },
    /^cli\/words\.ts:1: a comment of 103 columns, more than 100$/m,
    /^cli\/words\.ts:2: "What is there\." in a comment: /m,
    /^test\/words\.test\.ts:3: the test "adds two numbers" is no sentence/m,
    /^docs\/adr\/words\.md:1: 105 columns, more than 100$/m,
    /^✗ words$/m,
  ],
  "a promise that nobody waits for": [
    {
      "local/floating.ts": `import { setTimeout } from "node:timers/promises";\n\nsetTimeout(1);\n`,
      "local/misused.ts": `import { setTimeout } from "node:timers/promises";\n\n[1].forEach(async (n) => {\n  await setTimeout(n);\n});\n`,
    },
    /^local\/floating\.ts:3:1: .*no-floating-promises/m,
    /^local\/misused\.ts:3:\d+: .*no-misused-promises/m,
    /^✗ promises$/m,
  ],
  "a function that is too complex": [
    { "local/complex.ts": nested("a && b") },
    /^local\/complex\.ts:1:17 lint\/complexity\/noExcessiveCognitiveComplexity/m,
    /^✗ format and lint$/m,
  ],
  "a complex function in a test": [
    { "test/complex.test.ts": nested("a && b") },
    /^test\/complex\.test\.ts:1:17 lint\/complexity\/noExcessiveCognitiveComplexity/m,
  ],
  "a function that is too long": [
    { "local/long-function.ts": longFunction(61).replaceAll("line", "row") },
    /^local\/long-function\.ts:1:8 lint\/complexity\/noExcessiveLinesPerFunction/m,
  ],
  "a file that is too long": [
    { "local/long-file.ts": longFile(401).replaceAll("long", "longer") },
    /^local\/long-file\.ts:1:1 lint\/style\/noExcessiveLinesPerFile/m,
  ],
  "a file of tests that is too long": [
    { "test/long-file.test.ts": longFile(401).replaceAll("long", "lengthy") },
    /^test\/long-file\.test\.ts:1:1 lint\/style\/noExcessiveLinesPerFile/m,
  ],
  "a copy": [
    { "functions/copy.ts": `// Copied.\n${copied("once").replaceAll("  ", "    ")}` },
    /^(?=.*functions\/copy\.ts)(?=.*local\/once\.ts).* duplicated on file /m,
    /^✗ clones$/m,
  ],
  "a copy with other names": [
    { "infra/twice.ts": copied("twice") },
    /^(?=.*infra\/twice\.ts).* duplicated on file /m,
  ],
  "a copy in a test": [
    { "test/copy.test.ts": copied("copy"), "test/copied.test.ts": copied("copy") },
    /^(?=.*test\/copy\.test\.ts)(?=.*test\/copied\.test\.ts).* duplicated on file /m,
    /^✗ clones in tests$/m,
  ],
};

function write(root: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}

function check(root: string): { status: number | null; said: string } {
  const env = { ...process.env, NO_COLOR: "1" };
  const options = { cwd: root, encoding: "utf8", env } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, ["scripts/check.ts"], options);
  return { status, said: stdout + stderr };
}

it("The check passes code that is within its bounds and names code that is not", () => {
  const root = temporaryFolder();
  for (const path of KEPT) cpSync(join(ROOT, path), join(root, path), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(root, "node_modules"));
  write(root, FITTING);
  const before = check(root);
  expect(before.said).not.toContain("✗");
  expect(before.status, before.said).toBe(0);

  for (const [files] of Object.values(PLANTED)) write(root, files);
  const { status, said } = check(root);
  expect(status).toBe(1);
  for (const [name, [, ...rules]] of Object.entries(PLANTED)) {
    for (const rule of rules) expect(said, name).toMatch(rule);
  }
});
