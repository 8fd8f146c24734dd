import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ISecret } from "aws-cdk-lib/aws-secretsmanager";
import type { IStringParameter } from "aws-cdk-lib/aws-ssm";
import { describe, expect, it } from "vitest";
import { leftOutArguments } from "../../infra/optional-packages.ts";
import { temporaryFolder } from "../support/folder.ts";

const TRACER = "@aws-lambda-powertools/tracer";
const SECRETS = "@aws-sdk/client-secrets-manager";
const PARAMETERS = "@aws-sdk/client-ssm";

/** The packages that the bundle of a pipeline's file leaves out. */
function leftOut(code: string, options: Parameters<typeof leftOutArguments>[1] = {}): string[] {
  const entry = join(temporaryFolder(), "pipeline.mjs");
  writeFileSync(entry, code);
  return Object.keys(leftOutArguments(entry, options)).map((name) => name.slice("--alias:".length));
}

describe("the packages that a bundle leaves out", () => {
  it("A bundle has no package of an option that is not set", () => {
    expect(leftOut("export default 1;")).toEqual([TRACER, SECRETS, PARAMETERS]);
  });

  it("A bundle has the package of each option that is set", () => {
    const secret = { secret: {} as ISecret };
    const parameter = { parameter: {} as IStringParameter };
    expect(leftOut("export default 1;", { tracing: true })).toEqual([SECRETS, PARAMETERS]);
    expect(leftOut("export default 1;", { secrets: { A: secret } })).toEqual([TRACER, PARAMETERS]);
    expect(leftOut("export default 1;", { secrets: { A: parameter } })).toEqual([TRACER, SECRETS]);
    expect(leftOut("export default 1;", { secrets: { A: parameter, B: secret }, tracing: true })).toEqual([]);
  });

  it("A bundle has a package that the pipeline's file imports for itself", () => {
    expect(leftOut(`import "${PARAMETERS}"; export default 1;`)).toEqual([TRACER, SECRETS]);
    expect(leftOut(`export default () => import("${SECRETS}");`)).toEqual([TRACER, PARAMETERS]);
  });

  it("A bundle has all packages if the imports of the pipeline's file cannot be told", () => {
    expect(leftOut("export default (;")).toEqual([]);
  });
});
