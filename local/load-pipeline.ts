import { existsSync } from "node:fs";
import { registerHooks } from "node:module";
import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { MillraceError } from "../shared/contract/errors.ts";
import { Pipeline } from "../shared/contract/pipeline.ts";
import { adviceFor, isShortage, systemCodeOf } from "../shared/platform/embedded/advice.ts";
import { CodeRecord } from "./code-record.ts";
import { exists } from "./home.ts";

let isHooked = false;

/** The code of the pipelines that this thread has loaded. */
export const CODE: CodeRecord = new CodeRecord();

/**
 * Loads the pipeline that a file exports as its default. TypeScript files run with their types
 * stripped and as ES modules, whatever `type` is in package.json. Errors:
 * `PIPELINE_FILE_NOT_FOUND`, `PIPELINE_FILE_FAILED`, `PIPELINE_NOT_EXPORTED`.
 */
export async function loadPipeline(entry: string): Promise<Pipeline> {
  const path = resolve(entry);
  const { href } = pathToFileURL(path);
  if (!CODE.hasEntry(href) && !exists(path)) {
    throw new MillraceError("PIPELINE_FILE_NOT_FOUND", `there is no file ${entry}`, {
      where: { path },
      hint: "Name the file that exports the pipeline: millrace run pipeline.ts",
    });
  }
  registerLoaderHooks();
  let module: { readonly default?: unknown };
  try {
    module = (await import(href)) as { default?: unknown };
  } catch (error) {
    if (MillraceError.is(error)) throw error.with({ where: { path } });
    throw new MillraceError(
      "PIPELINE_FILE_FAILED",
      `${entry} cannot be loaded: ${error instanceof Error ? error.message : String(error)}`,
      {
        where: { path },
        hint: hintFor(error),
        cause: error,
      },
    );
  }
  if (Pipeline.is(module.default)) return module.default;
  throw new MillraceError("PIPELINE_NOT_EXPORTED", `${entry} has no pipeline as its default export`, {
    where: { path },
    hint: 'End the file with: export default pipeline("name").readStream…writeStream….',
  });
}

/**
 * Registers hooks that load `.ts` files outside node_modules as ES modules, and let an import of
 * `./x.js` resolve to `./x.ts`, as tsc does. The hooks of `CODE` come last, so Node calls them
 * first.
 */
function registerLoaderHooks(): void {
  if (isHooked) return;
  isHooked = true;
  registerHooks({
    resolve(specifier, context, next) {
      if (/^\.{1,2}\//.test(specifier) && specifier.endsWith(".js") && context.parentURL !== undefined) {
        const script = new URL(specifier, context.parentURL);
        const source = new URL(script.href.replace(/\.js$/, ".ts"));
        if (!existsSync(fileURLToPath(script)) && existsSync(fileURLToPath(source)))
          return next(source.href, context);
      }
      return next(specifier, context);
    },
    load(url, context, next) {
      const isSource = url.startsWith("file:") && url.endsWith(".ts") && !url.includes("/node_modules/");
      return next(url, isSource ? { ...context, format: "module-typescript" } : context);
    },
  });
  registerHooks({
    resolve: (specifier, context, next) => CODE.resolve(specifier, context, () => next(specifier, context)),
    load: (url, context, next) => CODE.load(url, () => next(url, context)),
  });
}

function hintFor(error: unknown): string {
  const code = systemCodeOf(error);
  if (isShortage(code)) return adviceFor(code).hint;
  if (isUnstrippable(error))
    return "Node only strips types: write a union of strings for an enum, and fields for parameter properties (tsc: erasableSyntaxOnly).";
  const [, call] = (error instanceof TypeError && SPARK_START_METHODS.exec(error.message)) || [];
  return call === undefined
    ? "Correct the file; the cause is below."
    : `If this is the pipeline's, write export default, and leave .${call}() out: millrace run starts it.`;
}

/** The methods that start a query in Spark, which a user may call by habit. */
const SPARK_START_METHODS = /\.(start|save|awaitTermination) is not a function$/;

function isUnstrippable(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX";
}
