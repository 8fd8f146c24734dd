import { MillraceError } from "../shared/contract/errors.ts";
import type { StallPolicy } from "../shared/contract/pipeline.ts";
import type { SecretReference } from "./secrets.ts";

/** What the construct tells the functions, in their environment variables. infra/functions.ts writes the same names. */
export interface Settings {
  readonly pipeline: string;
  readonly table: string;
  readonly bucket: string;
  /** Of the pipeline's store in the bucket. */
  readonly prefix: string;
  /** Replaces the trigger of the pipeline's own file. */
  readonly trigger: "once" | "availableNow" | undefined;
  readonly leaseMilliseconds: number;
  /** Of a whole execution. */
  readonly executionMilliseconds: number;
  /** Above this number of tasks the Map is a distributed one. `Infinity` for an Express workflow, which has none. */
  readonly distributeAbove: number;
  /** Of one task. */
  readonly maxAttempts: number;
  /** What counts as a stalled partition, over what the pipeline's own file says. */
  readonly stall: Partial<StallPolicy>;
  /** By the name under which the pipeline finds them in `runtime.env`. */
  readonly secrets: Readonly<Record<string, SecretReference>>;
}

export function readSettings(env: Readonly<Record<string, string | undefined>>): Settings {
  const required = (name: string): string => {
    const value = env[name];
    if (value !== undefined && value !== "") return value;
    throw new MillraceError("SETTING_MISSING", `the environment variable ${name} is not set`, {
      hint: "The construct sets it: deploy the function with MicroBatchPipeline.",
    });
  };
  const distributeAbove = required("MILLRACE_DISTRIBUTE_ABOVE");
  const trigger = env["MILLRACE_TRIGGER"];
  const stallAfter = env["MILLRACE_STALL_AFTER_SECONDS"];
  const failStalled = env["MILLRACE_FAIL_STALLED"];
  return {
    pipeline: required("MILLRACE_PIPELINE"),
    table: required("MILLRACE_TABLE"),
    bucket: required("MILLRACE_BUCKET"),
    prefix: required("MILLRACE_PREFIX"),
    trigger: trigger === "once" || trigger === "availableNow" ? trigger : undefined,
    leaseMilliseconds: Number(required("MILLRACE_LEASE_SECONDS")) * 1000,
    executionMilliseconds: Number(required("MILLRACE_EXECUTION_SECONDS")) * 1000,
    distributeAbove: distributeAbove === "never" ? Number.POSITIVE_INFINITY : Number(distributeAbove),
    maxAttempts: Number(required("MILLRACE_MAX_ATTEMPTS")),
    stall: {
      ...(stallAfter === undefined ? {} : { after: `${stallAfter}s` }),
      ...(failStalled === undefined ? {} : { fail: failStalled === "true" }),
    },
    secrets: JSON.parse(env["MILLRACE_SECRETS"] ?? "{}") as Settings["secrets"],
  };
}
