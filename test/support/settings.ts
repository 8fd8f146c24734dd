import { type FunctionSettings, formatSettings } from "../../shared/aws/settings.ts";

/** Returns the environment variables that the construct gives the functions of a pipeline. */
export function variablesOf(
  pipeline: string,
  changes: Partial<FunctionSettings> = {},
): Record<string, string> {
  return formatSettings({
    pipeline,
    table: "table",
    bucket: "bucket",
    prefix: pipeline,
    trigger: undefined,
    leaseMilliseconds: 3_600_000,
    executionMilliseconds: 3_600_000,
    distributeAbove: 200,
    maxAttempts: 3,
    stallAfterMilliseconds: undefined,
    failStalled: undefined,
    secrets: {},
    ...changes,
  });
}
