import { join } from "node:path";
import { build } from "esbuild";
import { ROOT } from "../support/process.ts";
import { CONTROL_URL } from "./control.ts";

/** The handlers with a pipeline in the place of `millrace:pipeline`, outside of any function. */

/** Bundles a module over the project's sources, with pipelines/numbers.ts as its pipeline. */
export async function bundle(contents: string, outfile: string): Promise<void> {
  await build({
    stdin: { contents, resolveDir: ROOT, loader: "ts" },
    outfile,
    bundle: true,
    platform: "node",
    target: "node24",
    format: "esm",
    mainFields: ["module", "main"],
    alias: { "millrace:pipeline": join(ROOT, "test/localstack/pipelines/numbers.ts") },
    banner: {
      js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
    },
    logLevel: "error",
  });
}

/** The variables that the construct gives the functions. */
export function variables(table: string, bucket: string): Record<string, string> {
  return {
    MILLRACE_PIPELINE: "numbers",
    MILLRACE_TABLE: table,
    MILLRACE_BUCKET: bucket,
    MILLRACE_PREFIX: "numbers",
    MILLRACE_LEASE_SECONDS: "3600",
    MILLRACE_EXECUTION_SECONDS: "3600",
    MILLRACE_DISTRIBUTE_ABOVE: "200",
    MILLRACE_MAX_ATTEMPTS: "3",
    NUMBERS_CONTROL: CONTROL_URL,
    POWERTOOLS_LOG_LEVEL: "SILENT",
    POWERTOOLS_METRICS_DISABLED: "true",
    POWERTOOLS_TRACE_ENABLED: "false",
  };
}

/** An execution of a state machine that nobody runs. */
export const EXECUTION = {
  id: "arn:aws:states:us-east-1:000000000000:execution:numbers:by-hand",
  startedAt: new Date().toISOString(),
} as const;
