import { MillraceError } from "./errors.ts";
import type { OptionsSchema } from "./options/parse.ts";

/**
 * The packages that only one connector or option needs, each with the name of that connector or
 * option. They are optional peers in package.json, so that a project installs only the packages
 * that it uses.
 */
export const OPTIONAL_PACKAGES = {
  "@aws-lambda-powertools/tracer": "the option tracing of MicroBatchPipeline",
  "@aws-sdk/client-kinesis": 'the connector "kinesis"',
  "@aws-sdk/client-lambda": "millrace vacuum --stack",
  "@aws-sdk/client-secrets-manager": "a secret in the option secrets of MicroBatchPipeline",
  "@aws-sdk/client-sqs": 'the connector "sqs"',
  "@aws-sdk/client-ssm": "a parameter in the option secrets of MicroBatchPipeline",
  "parquet-wasm": 'the connector "iceberg"',
  pg: 'the connector "postgres" or a PostgreSQL catalog of "iceberg"',
} as const;

export type OptionalPackage = keyof typeof OPTIONAL_PACKAGES;

export function dependencyMissing(name: OptionalPackage): MillraceError {
  return new MillraceError(
    "DEPENDENCY_MISSING",
    `${OPTIONAL_PACKAGES[name]} needs the package ${name}, which is not installed`,
    { hint: `npm install ${name}` },
  );
}

/**
 * Loads a module that imports an optional package. Error: `DEPENDENCY_MISSING` if that package is
 * not installed. An error of a package that is installed is thrown as it is.
 */
export async function loadOptional<Module>(
  name: OptionalPackage,
  load: () => Promise<Module>,
): Promise<Module> {
  try {
    return await load();
  } catch (error) {
    throw isMissing(name, error) ? dependencyMissing(name) : error;
  }
}

/** Node's message names the package. functions/left-out.cts throws an error with `isLeftOut`. */
function isMissing(name: OptionalPackage, error: unknown): boolean {
  if (!(error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND")) return false;
  return error.message.startsWith(`Cannot find package '${name}' `) || "isLeftOut" in error;
}

/**
 * Wraps the schema of a data source's options: `load` runs before the options are checked. It gets
 * the options as they are, for a package that only one of them needs.
 */
export function loadingFirst<Input, Output>(
  schema: OptionsSchema<Input, Output>,
  load: (options: unknown) => Promise<unknown>,
): OptionsSchema<Input, Output> {
  const standard = schema["~standard"];
  return {
    "~standard": {
      ...standard,
      async validate(value) {
        await load(value);
        return await standard.validate(value);
      },
    },
  };
}
