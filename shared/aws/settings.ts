import { MillraceError } from "../contract/errors.ts";

/**
 * Where a secret is kept: in Secrets Manager, whole or one field of its JSON, or in Parameter
 * Store.
 */
export type SecretReference =
  | { readonly secret: string; readonly field?: string }
  | { readonly parameter: string };

/** How a value is written into an environment variable, and read from it. */
interface Codec<T> {
  format(value: T): string;
  parse(text: string): T;
}

/** Milliseconds, in seconds. */
const SECONDS: Codec<number> = {
  format: (milliseconds) => String(milliseconds / 1000),
  parse: (seconds) => Number(seconds) * 1000,
};

/** Begins the names of all these variables. */
export const VARIABLE_PREFIX = "MILLRACE_";

type Variable = `${typeof VARIABLE_PREFIX}${string}`;

/** A setting and the variable that carries it. */
interface Setting<T> {
  readonly variable: Variable;
  /**
   * Returns `undefined` if the variable is to be left out. `toJson` knows values that are known
   * only when the stack is deployed.
   */
  format(value: T, toJson: (value: object) => string): string | undefined;
  /** The text is `undefined` if the variable is not set. */
  parse(text: string | undefined): T;
}

/**
 * What the construct tells the functions, in environment variables. Both sides have this table's
 * type: a setting that is added here and forgotten on either side does not compile.
 */
export const SETTINGS = {
  pipeline: required("MILLRACE_PIPELINE", { format: String, parse: String }),
  table: required("MILLRACE_TABLE", { format: String, parse: String }),
  bucket: required("MILLRACE_BUCKET", { format: String, parse: String }),
  /** Of the pipeline's store in the bucket. */
  prefix: required("MILLRACE_PREFIX", { format: String, parse: String }),
  /** Replaces the trigger of the pipeline's own file. */
  trigger: optional<"once" | "availableNow">("MILLRACE_TRIGGER", {
    format: String,
    parse: (trigger) => (trigger === "once" || trigger === "availableNow" ? trigger : undefined),
  }),
  leaseMilliseconds: required("MILLRACE_LEASE_SECONDS", SECONDS),
  /** Of a whole execution. */
  executionMilliseconds: required("MILLRACE_EXECUTION_SECONDS", SECONDS),
  /**
   * Above this number of tasks the Map is a distributed one. `Infinity` for an Express workflow,
   * which has none.
   */
  distributeAbove: required<number>("MILLRACE_DISTRIBUTE_ABOVE", {
    format: (tasks) => (Number.isFinite(tasks) ? String(tasks) : "never"),
    parse: (tasks) => (tasks === "never" ? Number.POSITIVE_INFINITY : Number(tasks)),
  }),
  /** Of one task. */
  maxAttempts: required<number>("MILLRACE_MAX_ATTEMPTS", { format: String, parse: Number }),
  /** When a partition counts as stalled, if the construct says so. */
  stallAfterMilliseconds: optional("MILLRACE_STALL_AFTER_SECONDS", SECONDS),
  /** Whether the task of a stalled partition fails, if the construct says so. */
  failStalled: optional<boolean>("MILLRACE_FAIL_STALLED", {
    format: String,
    parse: (fails) => fails === "true",
  }),
  /** By the name under which the pipeline finds them in `runtime.env`. */
  secrets: secrets("MILLRACE_SECRETS"),
};

/** The settings of a function. */
export type FunctionSettings = {
  readonly [Name in keyof typeof SETTINGS]: ReturnType<(typeof SETTINGS)[Name]["parse"]>;
};

/** The environment variables that carry these settings. */
export function formatSettings(
  settings: FunctionSettings,
  toJson: (value: object) => string = JSON.stringify,
): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const [name, setting] of Object.entries(SETTINGS) as [keyof FunctionSettings, Setting<unknown>][]) {
    const text = setting.format(settings[name], toJson);
    if (text !== undefined) variables[setting.variable] = text;
  }
  return variables;
}

/** The settings that these environment variables carry. Error: `SETTING_MISSING`. */
export function parseSettings(env: Readonly<Record<string, string | undefined>>): FunctionSettings {
  const settings = Object.entries(SETTINGS).map(([name, { variable, parse }]) => [
    name,
    parse(env[variable]),
  ]);
  return Object.fromEntries(settings) as FunctionSettings;
}

function required<T>(variable: Variable, { format, parse }: Codec<T>): Setting<T> {
  return {
    variable,
    format: (value) => format(value),
    parse(text) {
      if (text !== undefined && text !== "") return parse(text);
      throw new MillraceError("SETTING_MISSING", `the environment variable ${variable} is not set`, {
        hint: "The construct sets it: deploy the function with MicroBatchPipeline.",
      });
    },
  };
}

function optional<T>(
  variable: Variable,
  { format, parse }: { format(value: T): string; parse(text: string): T | undefined },
): Setting<T | undefined> {
  return {
    variable,
    format: (value) => (value === undefined ? undefined : format(value)),
    parse: (text) => (text === undefined ? undefined : parse(text)),
  };
}

function secrets(variable: Variable): Setting<Readonly<Record<string, SecretReference>>> {
  return {
    variable,
    format: (references, toJson) => (Object.keys(references).length === 0 ? undefined : toJson(references)),
    parse: (text = "{}") => JSON.parse(text) as Readonly<Record<string, SecretReference>>,
  };
}
