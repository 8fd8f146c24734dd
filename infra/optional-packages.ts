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

function neededByOptions({ tracing, secrets = {} }: MicroBatchPipelineProps): OptionalPackage[] {
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
  const imported = importsOf(entry, missing);
  const needed = missing.find((name) => imported.some((path) => isOf(name, path)));
  if (needed !== undefined) throw dependencyMissing(needed).with({ where: { path: entry } });
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

/** Returns the imports of these packages in a file, direct ones and those through other files. */
function importsOf(entry: string, packages: readonly string[]): readonly string[] {
  try {
    const { buildSync } = require("esbuild") as { buildSync(options: BuildOptions): BuildResult };
    const { metafile } = buildSync({
      entryPoints: [resolve(entry)],
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
    return imports.map(({ path }) => path);
  } catch {
    // The bundling that follows reports an error in the file.
    return [];
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
  if (found === undefined || !importsWasm(entry)) return [];
  const target = join(outputDir, WASM);
  return [process.platform === "win32" ? `copy "${found}" "${target}"` : `cp '${found}' '${target}'`];
}

/** The answers of `importsWasm`, because each of a pipeline's functions asks. */
const wasmImports = new Map<string, boolean>();

function importsWasm(entry: string): boolean {
  const path = resolve(entry);
  const known = wasmImports.get(path);
  if (known !== undefined) return known;
  const found = importsOf(entry, ["parquet-wasm"]).length > 0;
  wasmImports.set(path, found);
  return found;
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

/** Tells esbuild to leave out the packages that are not installed. */
export function leftOutArguments(entry: string): Record<string, string> {
  const standIn = commonJsPath("../functions/left-out");
  return Object.fromEntries(
    absentPackages(entry).map((name) => [`--alias:${ENTRIES[name] ?? name}`, standIn]),
  );
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
