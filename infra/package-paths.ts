import { existsSync, realpathSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** `.ts` when running from the sources, `.js` in the package. */
const EXTENSION = import.meta.url.slice(import.meta.url.lastIndexOf("."));

/** Returns the path of a module of this package, such as `../functions/plan`. */
export function modulePath(name: string): string {
  return fileURLToPath(new URL(`${name}${EXTENSION}`, import.meta.url));
}

/** The path of a module that is CommonJS. */
export function commonJsPath(name: string): string {
  return fileURLToPath(new URL(`${name}${EXTENSION.replace(".", ".c")}`, import.meta.url));
}

/**
 * Returns the module's path through the project's node_modules if the package is linked there. CDK
 * bundles only files below the project's root, and a linked package is outside.
 */
export function modulePathInProject(name: string): string {
  const real = realpathSync(modulePath(name));
  const [root] = selfAndParents(dirname(real)).filter((folder) => existsSync(join(folder, "package.json")));
  const inPackage = relative(root ?? "", real);
  const linked = selfAndParents(process.cwd())
    .map((folder) => join(folder, "node_modules", "millrace", inPackage))
    .find((path) => existsSync(path) && realpathSync(path) === real);
  return linked ?? real;
}

const LOCK_FILES = ["package-lock.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock", "bun.lockb"];

/**
 * Returns package.json instead of a lock file if the project has none. CDK uses the file's folder
 * as the project's root and installs nothing from it.
 */
export function lockFileStandIn(): string | undefined {
  const folders = selfAndParents(process.cwd());
  const holds = (name: string) => (folder: string) => existsSync(join(folder, name));
  if (LOCK_FILES.some((name) => folders.some(holds(name)))) return undefined;
  const project = folders.find(holds("package.json"));
  return project && join(project, "package.json");
}

/** Returns a folder and all its parents, starting with the folder itself. */
function selfAndParents(folder: string): readonly string[] {
  const parent = dirname(folder);
  return parent === folder ? [folder] : [folder, ...selfAndParents(parent)];
}
