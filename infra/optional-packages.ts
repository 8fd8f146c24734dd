import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import type { BuildOptions, BuildResult } from "esbuild";
import {
  dependencyMissing,
  OPTIONAL_PACKAGES,
  type OptionalPackage,
} from "../shared/contract/optional-package.ts";
import { commonJsPath, modulePath } from "./package-paths.ts";
import type { MicroBatchPipelineProps } from "./props.ts";

const require = createRequire(import.meta.url);

const ALL = Object.keys(OPTIONAL_PACKAGES) as readonly OptionalPackage[];

/**
 * Checks that the packages for these options of the construct are installed. Error:
 * `DEPENDENCY_MISSING`.
 */
export function checkOptions(props: MicroBatchPipelineProps): void {
  const missing = neededByOptions(props).find((name) => !isInstalled(name));
  if (missing !== undefined) throw dependencyMissing(missing);
}

/** What the construct's options need of the packages that only its options need. */
type OptionsUse = Pick<MicroBatchPipelineProps, "tracing" | "secrets">;

/** The packages that the functions load for an option of the construct. */
const OF_OPTIONS: readonly OptionalPackage[] = [
  "@aws-lambda-powertools/tracer",
  "@aws-sdk/client-secrets-manager",
  "@aws-sdk/client-ssm",
];

function neededByOptions({ tracing, secrets = {} }: OptionsUse): OptionalPackage[] {
  const used = Object.values(secrets).map((secret) =>
    "parameter" in secret ? "@aws-sdk/client-ssm" : "@aws-sdk/client-secrets-manager",
  );
  return tracing ? ["@aws-lambda-powertools/tracer", ...used] : used;
}

/**
 * Refuses a pipeline's file that imports a connector whose package is not installed. It checks the
 * imports, because the file is not loaded during synthesis if `pipelineName` is set. If the project
 * has no package `esbuild`, the functions refuse the file at run time. Error: `DEPENDENCY_MISSING`.
 */
export function checkImports(entry: string): void {
  const missing = absentPackages(entry);
  if (missing.length === 0) return;
  const needed = importedOf(missing, entry)?.[0];
  if (needed !== undefined) throw dependencyMissing(needed).with({ where: { path: entry } });
}

/**
 * Returns those of the packages that a file imports, itself or through other files; `undefined` if
 * that cannot be told.
 */
function importedOf(
  packages: readonly OptionalPackage[],
  entry: string,
): readonly OptionalPackage[] | undefined {
  const imported = importsOf(entry, packages);
  return imported && packages.filter((name) => imported.some((path) => isOf(name, path)));
}

/** True for an import of the package itself, or of a file of it. */
function isOf(name: OptionalPackage, path: string): boolean {
  return path === name || path.startsWith(`${name}/`);
}

/**
 * Modules that import an optional package and that only one option of a connector needs. An import
 * of the connector does not tell whether that option is set.
 */
const OF_ONE_OPTION = ["../shared/connectors/iceberg/catalog/sql/postgres"].map(modulePath);

/** The answers of `importsOf`, because each of a pipeline's functions asks the same. */
const answers = new Map<string, readonly string[] | undefined>();

/**
 * Returns the imports of these packages in a file, direct ones and those through other files. The
 * answer is `undefined` if the file cannot be bundled, or the project has no package `esbuild`.
 */
function importsOf(entry: string, packages: readonly string[]): readonly string[] | undefined {
  const path = resolve(entry);
  const question = [path, ...packages].join("\n");
  if (!answers.has(question)) answers.set(question, findImports(path, packages));
  return answers.get(question);
}

function findImports(path: string, packages: readonly string[]): readonly string[] | undefined {
  try {
    const { buildSync } = require("esbuild") as { buildSync(options: BuildOptions): BuildResult };
    const { metafile } = buildSync({
      entryPoints: [path],
      bundle: true,
      write: false,
      metafile: true,
      platform: "node",
      format: "esm",
      mainFields: ["module", "main"],
      external: [...packages, ...OF_ONE_OPTION],
      logLevel: "silent",
    });
    const imports = Object.values(metafile?.outputs ?? {}).flatMap((output) => output.imports);
    return imports.map((found) => found.path);
  } catch {
    // The bundling that follows reports an error in the file.
    return undefined;
  }
}

/** The code of parquet-wasm, which its connector reads beside the bundle. */
const WASM = "parquet_wasm_bg.wasm";

/**
 * Returns the commands that copy the code of parquet-wasm beside the bundle, if the pipeline's file
 * imports it.
 */
export function wasmCommands(entry: string, outputDir: string): string[] {
  const found = wasmPath(entry);
  if (found === undefined || !importedOf(["parquet-wasm"], entry)?.length) return [];
  const target = join(outputDir, WASM);
  return [process.platform === "win32" ? `copy "${found}" "${target}"` : `cp '${found}' '${target}'`];
}

function wasmPath(entry: string): string | undefined {
  for (const { resolve: find } of [require, createRequire(resolve(entry))]) {
    try {
      return find(`parquet-wasm/esm/${WASM}`);
    } catch {
      // The package is not installed here.
    }
  }
  return undefined;
}

/** What the connector imports of a package, if that is not its main entry. */
const ENTRIES: { readonly [Name in OptionalPackage]?: string } = { "parquet-wasm": "parquet-wasm/esm" };

/**
 * Tells esbuild to leave out the packages that are not installed, and those that neither an option
 * of the construct nor the pipeline's file needs: a smaller bundle starts sooner.
 */
export function leftOutArguments(entry: string, options: OptionsUse): Record<string, string> {
  const standIn = commonJsPath("../functions/left-out");
  const leftOut = new Set([...absentPackages(entry), ...unusedPackages(entry, options)]);
  return Object.fromEntries([...leftOut].map((name) => [`--alias:${ENTRIES[name] ?? name}`, standIn]));
}

function unusedPackages(entry: string, options: OptionsUse): readonly OptionalPackage[] {
  const needed = neededByOptions(options);
  const unneeded = OF_OPTIONS.filter((name) => !needed.includes(name));
  const imported = importedOf(unneeded, entry) ?? unneeded;
  return unneeded.filter((name) => !imported.includes(name));
}

/**
 * Returns the packages that neither this package nor the pipeline's file finds. A package that only
 * the pipeline's file finds belongs to the pipeline, so it counts as installed.
 */
function absentPackages(entry: string): readonly OptionalPackage[] {
  const ofPipeline = createRequire(resolve(entry));
  return ALL.filter((name) => !isInstalled(name) && !isInstalled(name, ofPipeline));
}

/** True if a `require` finds the package. Default: the `require` of this module. */
function isInstalled(name: OptionalPackage, { resolve: find } = require): boolean {
  try {
    find(name);
    return true;
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "MODULE_NOT_FOUND");
  }
}
