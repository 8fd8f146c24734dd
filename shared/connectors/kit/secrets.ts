import * as z from "zod";
import type { Runtime } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";

/**
 * A value that is read from the environment when it is needed; it is never stored and never logged.
 */
export interface FromEnvironment {
  /** Name of the variable. */
  readonly env: string;
}

/** In the options of a connector. */
export const fromEnvironment: z.ZodType<FromEnvironment> = z.strictObject({ env: z.string().min(1) });

export function isFromEnvironment(value: unknown): value is FromEnvironment {
  return typeof value === "object" && value !== null && "env" in value;
}

/** The secret that options of `dataSource` name. Error: `SECRET_MISSING`. */
export function secretOf(env: Runtime["env"], { env: name }: FromEnvironment, dataSource: string): string {
  const value = env[name];
  if (value !== undefined && value !== "") return value;
  throw new MillraceError("SECRET_MISSING", `the environment variable ${name} is not set`, {
    hint: `Set ${name} where the pipeline runs; the options of ${dataSource} name it.`,
  });
}
