import * as z from "zod";
import type { Runtime } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";

/**
 * A value that is read from an environment variable when it is needed. It is never stored or
 * logged.
 */
export interface FromEnvironment {
  /** Name of the environment variable. */
  readonly env: string;
}

/** The schema of a `FromEnvironment` in a connector's options. */
export const fromEnvironment: z.ZodType<FromEnvironment> = z.strictObject({ env: z.string().min(1) });

export function isFromEnvironment(value: unknown): value is FromEnvironment {
  return typeof value === "object" && value !== null && "env" in value;
}

/**
 * Returns the value of the environment variable. `dataSource` is the connector's name, for the
 * error. Error: `SECRET_MISSING`.
 */
export function secretOf(env: Runtime["env"], { env: name }: FromEnvironment, dataSource: string): string {
  const value = env[name];
  if (value !== undefined && value !== "") return value;
  throw new MillraceError("SECRET_MISSING", `the environment variable ${name} is not set`, {
    hint: `Set ${name} where the pipeline runs; the options of ${dataSource} name it.`,
  });
}
