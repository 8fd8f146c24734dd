import * as z from "zod";
import type { Runtime } from "../../contract/context.ts";
import { secretMissing } from "../../contract/secret-missing.ts";

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
 * Returns the names of all environment variables that options name, at any depth. Objects with
 * further fields, which a request body may have, name none.
 */
export function environmentOf(options: unknown): readonly string[] {
  if (typeof options !== "object" || options === null) return [];
  if (isFromEnvironment(options) && typeof options.env === "string" && Object.keys(options).length === 1)
    return [options.env];
  return [...new Set(Object.values(options).flatMap(environmentOf))];
}

/**
 * Returns the value of the environment variable. `dataSource` is the connector's name, for the
 * error. Error: `SECRET_MISSING`.
 */
export function secretOf(env: Runtime["env"], { env: name }: FromEnvironment, dataSource: string): string {
  const value = env[name];
  if (value !== undefined && value !== "") return value;
  throw secretMissing([name], dataSource);
}
