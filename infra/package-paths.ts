import { existsSync, realpathSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** `.ts` if the sources run, `.js` if the package does. */
const EXTENSION = import.meta.url.slice(import.meta.url.lastIndexOf("."));

/** The path of a module of the package, such as `../functions/plan`. */
export function modulePath(name: string): string {
  return fileURLToPath(new URL(`${name}${EXTENSION}`, import.meta.url));
}

/** The path of a module that is CommonJS. */
export function commonJsPath(name: string): string {
  return fileURLToPath(new URL(`${name}${EXTENSION.replace(".", ".c")}`, import.meta.url));
}

/**
 * The same file by its path in the project's node_modules, if the package is linked into them: CDK
 * bundles only what is below the project's root, and a linked package lies elsewhere.
 */
export function modulePathInProject(name: string): string {
  const real = realpathSync(modulePath(name));
  const [root] = above(dirname(real)).filter((folder) => existsSync(join(folder, "package.json")));
  const inPackage = relative(root ?? "", real);
  const linked = above(process.cwd())
    .map((folder) => join(folder, "node_modules", "millrace", inPackage))
    .find((path) => existsSync(path) && realpathSync(path) === real);
  return linked ?? real;
}

const LOCK_FILES = ["package-lock.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock", "bun.lockb"];

/**
 * Stands in for the lock file of a project that has none: CDK takes its folder for the project's
 * root, and installs nothing from it.
 */
export function lockFileStandIn(): string | undefined {
  const folders = above(process.cwd());
  const holds = (name: string) => (folder: string) => existsSync(join(folder, name));
  if (LOCK_FILES.some((name) => folders.some(holds(name)))) return undefined;
  const project = folders.find(holds("package.json"));
  return project && join(project, "package.json");
}

/** A folder and all that it lies in, itself first. */
function above(folder: string): readonly string[] {
  const parent = dirname(folder);
  return parent === folder ? [folder] : [folder, ...above(parent)];
}
