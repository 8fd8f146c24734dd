import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * Compiles the current sources into a folder that is named after its content and never changes.
 * `npm run build` copies `dist` from it. Tests run the folder itself, so a build or an edit during
 * the tests cannot break them. It also contains the pipelines of the tests, in which `import … from
 * "millrace"` resolves to this package.
 */

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const HOME = join(ROOT, ".cache/package");
/** The files that the compiler reads, as in tsconfig.build.json. */
const COMPILED = ["{shared,local,cli,functions,infra}/**/*.{ts,cts}", "tsconfig*.json"];
const COPIED = [
  "package.json",
  "bin/*",
  "examples/**/*.*",
  // The apps that `cdk` runs, and the pipelines that apps and tests run.
  "cdk.json",
  "infra/app.ts",
  "test/**/pipelines/*.ts",
  "test/**/*.pipeline.ts",
  "test/localstack/{app,catalog-port,control,names}.ts",
  "test/postgres/databases.ts",
  "shared/{aws,contract}/**/*.ts",
];
/** Milliseconds after which an unused folder is removed. */
const KEPT_MILLISECONDS = 24 * 60 * 60 * 1000;

/**
 * Compiles the sources if they changed. Returns the folder, or `undefined` if they do not compile.
 */
export function builtPackage(): string | undefined {
  const folder = join(HOME, digest());
  mkdirSync(HOME, { recursive: true });
  if (!existsSync(folder) && !build(folder)) return undefined;
  const now = new Date();
  utimesSync(folder, now, now);
  removeOld(now.getTime());
  return folder;
}

/**
 * Builds in a temporary folder and renames it at the end, because two processes may build at once.
 */
function build(folder: string): boolean {
  const next = mkdtempSync(join(HOME, "next-"));
  try {
    const tsc = [
      "node_modules/typescript/bin/tsc",
      "-p",
      "tsconfig.build.json",
      "--outDir",
      join(next, "dist"),
    ];
    const { status } = spawnSync(process.execPath, tsc, { cwd: ROOT, stdio: "inherit" });
    if (status !== 0) return false;
    for (const name of globSync(COPIED, { cwd: ROOT })) cpSync(join(ROOT, name), join(next, name));
    try {
      renameSync(next, folder);
    } catch (error) {
      if (!existsSync(folder)) throw error; // Another process has built the same.
    }
    return true;
  } finally {
    rmSync(next, { recursive: true, force: true });
  }
}

function digest(): string {
  const hash = createHash("sha256");
  for (const file of new Set(globSync([...COMPILED, ...COPIED], { cwd: ROOT }).sort()))
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(ROOT, file)))
      .update("\0");
  return hash.digest("hex").slice(0, 16);
}

function removeOld(now: number): void {
  for (const name of globSync("*", { cwd: HOME })) {
    const path = join(HOME, name);
    const age = now - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? now);
    if (age > KEPT_MILLISECONDS) rmSync(path, { recursive: true, force: true });
  }
}
