import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import type { S3Client } from "@aws-sdk/client-s3";
import type { Context } from "aws-lambda";
import { build } from "esbuild";
import type {
  Finalized,
  PlanEvent,
  Planned,
  StageEvent,
  VacuumEvent,
  WriteEvent,
  Written,
} from "../../shared/aws/state.ts";
import { PACKAGE } from "../support/package.ts";
import { ROOT } from "../support/root.ts";
import { variablesOf } from "../support/settings.ts";
import { newLedger, newStore } from "./clients.ts";
import { CONTROL_URL } from "./control.ts";

/**
 * The handlers of the functions, run in this process with a test pipeline in place of
 * `millrace:pipeline`.
 */

/**
 * Bundles the code `contents`, which may import the project's sources. Its pipeline is a file of
 * the folder pipelines.
 */
export async function bundle(contents: string, outfile: string, pipeline = "numbers.ts"): Promise<void> {
  await build({
    stdin: { contents, resolveDir: ROOT, loader: "ts" },
    outfile,
    bundle: true,
    platform: "node",
    target: "node24",
    format: "esm",
    mainFields: ["module", "main"],
    alias: { "millrace:pipeline": join(PACKAGE, "test/localstack/pipelines", pipeline) },
    banner: {
      js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
    },
    logLevel: "error",
  });
}

/** Returns the environment variables that the construct gives the functions. */
export function variables(table: string, bucket: string): Record<string, string> {
  return {
    ...variablesOf("numbers", { table, bucket }),
    NUMBERS_CONTROL: CONTROL_URL,
    POWERTOOLS_LOG_LEVEL: "SILENT",
    POWERTOOLS_METRICS_DISABLED: "true",
    POWERTOOLS_TRACE_ENABLED: "false",
  };
}

/** An execution in the input of handlers that run without a state machine. */
export const EXECUTION = {
  id: "arn:aws:states:us-east-1:000000000000:execution:numbers:by-hand",
  startedAt: new Date().toISOString(),
} as const;

/** The handlers in this process, and their AWS clients. */
export interface Handlers {
  plan(event: PlanEvent | StageEvent, lambda: Context): Promise<Planned>;
  write(event: WriteEvent, lambda: Context): Promise<unknown>;
  finalize(event: Written, lambda: Context): Promise<Finalized>;
  vacuum(event: VacuumEvent, lambda: Context): Promise<unknown>;
  readonly dynamodb: DynamoDBClient;
  readonly s3: S3Client;
}

/**
 * Loads the handlers with a new table and a new bucket. It may be called only once per process,
 * because the handlers read the environment when they are loaded.
 */
export async function loadHandlers(
  pipeline?: string,
): Promise<{ readonly handlers: Handlers; readonly bucket: string }> {
  const { tableName } = await newLedger();
  const bucket = (await newStore()).location.split("/")[2] ?? "";
  Object.assign(process.env, variables(tableName, bucket));
  const folder = mkdtempSync(join(tmpdir(), "millrace-"));
  const file = join(folder, "handlers.mjs");
  await bundle(
    `export { handler as plan } from "./functions/plan.ts";
     export { handler as write } from "./functions/write.ts";
     export { handler as finalize } from "./functions/finalize.ts";
     export { handler as vacuum } from "./functions/vacuum.ts";
     export { dynamodb, s3 } from "./functions/environment.ts";`,
    file,
    pipeline,
  );
  const handlers = (await import(file)) as Handlers;
  rmSync(folder, { recursive: true });
  return { handlers, bucket };
}

/** The context that Lambda passes to a handler. */
export const LAMBDA: Context = { functionName: "numbers", getRemainingTimeInMillis: () => 60_000 } as Context;
