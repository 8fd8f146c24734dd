import { MillraceError } from "../contract/errors.ts";

/**
 * Where a secret is stored: in Secrets Manager (the whole secret, or one field of its JSON), or in
 * Parameter Store.
 */
export type SecretReference =
  | { readonly secret: string; readonly field?: string }
  | { readonly parameter: string };

/** Converts a value to the text of an environment variable, and back. */
interface Codec<T> {
  format(value: T): string;
  parse(text: string): T;
}

/** Durations are milliseconds in the code and seconds in the variable. */
const SECONDS: Codec<number> = {
  format: (milliseconds) => String(milliseconds / 1000),
  parse: (seconds) => Number(seconds) * 1000,
};

/** Prefix of the names of all these variables. */
export const VARIABLE_PREFIX = "MILLRACE_";

type Variable = `${typeof VARIABLE_PREFIX}${string}`;

/** A setting, and the environment variable that carries it. */
interface Setting<T> {
  readonly variable: Variable;
  /**
   * Returns the text of the variable, or `undefined` to leave it out. `toJson` must be able to
   * serialise CDK tokens, whose values are known only at deployment.
   */
  format(value: T, toJson: (value: object) => string): string | undefined;
  /** Parses the text of the variable, which is `undefined` if the variable is not set. */
  parse(text: string | undefined): T;
}

/**
 * The settings that the construct passes to the functions in environment variables. Both sides use
 * this table, so a setting that one side forgets does not compile.
 */
export const SETTINGS = {
  pipeline: required("MILLRACE_PIPELINE", { format: String, parse: String }),
  table: required("MILLRACE_TABLE", { format: String, parse: String }),
  bucket: required("MILLRACE_BUCKET", { format: String, parse: String }),
  /** Prefix of the pipeline's store in the bucket. */
  prefix: required("MILLRACE_PREFIX", { format: String, parse: String }),
  /** Overrides the trigger in the pipeline's file. */
  trigger: optional<"once" | "availableNow">("MILLRACE_TRIGGER", {
    format: String,
    parse: (trigger) => (trigger === "once" || trigger === "availableNow" ? trigger : undefined),
  }),
  leaseMilliseconds: required("MILLRACE_LEASE_SECONDS", SECONDS),
  /** Time limit of a whole execution. */
  executionMilliseconds: required("MILLRACE_EXECUTION_SECONDS", SECONDS),
  /**
   * Batches with more tasks than this use a distributed Map. `Infinity` for an Express workflow,
   * which cannot have one.
   */
  distributeAbove: required<number>("MILLRACE_DISTRIBUTE_ABOVE", {
    format: (tasks) => (Number.isFinite(tasks) ? String(tasks) : "never"),
    parse: (tasks) => (tasks === "never" ? Number.POSITIVE_INFINITY : Number(tasks)),
  }),
  /** Maximum number of attempts of one task. */
  maxAttempts: required<number>("MILLRACE_MAX_ATTEMPTS", { format: String, parse: Number }),
  /** Overrides how long a partition may stall. */
  stallAfterMilliseconds: optional("MILLRACE_STALL_AFTER_SECONDS", SECONDS),
  /** Overrides whether the task of a stalled partition fails. */
  failStalled: optional<boolean>("MILLRACE_FAIL_STALLED", {
    format: String,
    parse: (fails) => fails === "true",
  }),
  /** Secrets, keyed by the name under which the pipeline reads them from `runtime.env`. */
  secrets: secrets("MILLRACE_SECRETS"),
};

/** The parsed settings of a function. */
export type FunctionSettings = {
  readonly [Name in keyof typeof SETTINGS]: ReturnType<(typeof SETTINGS)[Name]["parse"]>;
};

/** Returns the environment variables for these settings. */
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

/** Parses the settings from environment variables. Throws `SETTING_MISSING`. */
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
