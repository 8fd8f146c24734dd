import { CloudFormationClient, DescribeStacksCommand } from "@aws-sdk/client-cloudformation";
import { z } from "zod";
import { OUTPUT, OUTPUT_VERSION, type OutputField } from "../../shared/aws/names.ts";
import { requestLimits } from "../../shared/aws/request-limits.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import { callAws } from "./aws.ts";

/**
 * The JSON output of a deployed pipeline in its stack. Older versions of the construct did not
 * write `bucket`, `prefix` and `finalize`.
 */
const Output = z
  .object({
    [OUTPUT.version]: z.literal(OUTPUT_VERSION),
    [OUTPUT.pipeline]: z.string(),
    [OUTPUT.table]: z.string(),
    [OUTPUT.bucket]: z.string().optional(),
    [OUTPUT.prefix]: z.string().optional(),
    [OUTPUT.stateMachine]: z.string(),
    [OUTPUT.vacuum]: z.string(),
    [OUTPUT.finalize]: z.string().optional(),
  } satisfies Record<OutputField, z.ZodType>)
  .transform((output) => ({
    pipeline: output[OUTPUT.pipeline],
    table: output[OUTPUT.table],
    bucket: output[OUTPUT.bucket],
    prefix: output[OUTPUT.prefix],
    stateMachineArn: output[OUTPUT.stateMachine],
    vacuumFunction: output[OUTPUT.vacuum],
    finalizeFunction: output[OUTPUT.finalize],
  }));

export type DeployedPipeline = z.infer<typeof Output>;

/** Returns the pipelines of a stack, by name. Errors: `STACK_NOT_FOUND`, `AWS_FAILED`. */
export async function readStack(stack: string): Promise<ReadonlyMap<string, DeployedPipeline>> {
  const client = new CloudFormationClient({ requestHandler: requestLimits() });
  const { Stacks } = await callAws("DescribeStacks", async () => {
    try {
      return await client.send(new DescribeStacksCommand({ StackName: stack }));
    } catch (error) {
      // CloudFormation has no error class for this, so its message is checked.
      if (error instanceof Error && /does not exist/.test(error.message)) return { Stacks: [] };
      throw error;
    }
  });
  const pipelines = new Map<string, DeployedPipeline>();
  for (const { OutputValue } of Stacks?.[0]?.Outputs ?? []) {
    const deployed = parseOutput(OutputValue);
    if (deployed !== undefined) pipelines.set(deployed.pipeline, deployed);
  }
  if (pipelines.size > 0) return pipelines;
  const problem =
    Stacks?.[0] === undefined ? `there is no stack "${stack}"` : `stack "${stack}" has no pipeline`;
  throw new MillraceError("STACK_NOT_FOUND", problem, {
    hint: "Check the name, AWS_REGION and AWS_PROFILE, and that the stack was deployed: `millrace deploy`.",
  });
}

/** Returns `undefined` for an output that Millrace did not write. */
export function parseOutput(value: string | undefined): DeployedPipeline | undefined {
  try {
    return Output.safeParse(JSON.parse(value ?? "")).data;
  } catch {
    return undefined;
  }
}
