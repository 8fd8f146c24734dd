import { runSimulation } from "@cloud-copilot/iam-simulate";
import { ACCOUNT, REGION, type Statement } from "./synthesize.ts";

/**
 * Returns true if IAM would let a role with these statements perform the action on the resource. An
 * evaluator that is independent of Millrace decides.
 */
export async function isAllowed(
  statements: readonly Statement[],
  action: string,
  resource: string,
  context: Readonly<Record<string, string | string[]>> = {},
): Promise<boolean> {
  const { overallResult, resultType, ...rest } = (await runSimulation(
    {
      request: {
        action,
        resource: { resource, accountId: ACCOUNT },
        principal: `arn:aws:iam::${ACCOUNT}:role/role`,
        contextVariables: { "aws:RequestedRegion": REGION, ...context },
      },
      identityPolicies: [{ name: "role", policy: { Version: "2012-10-17", Statement: statements } }],
      serviceControlPolicies: [],
      resourceControlPolicies: [],
    } as never,
    {},
  )) as { resultType: string; overallResult?: string };
  if (resultType === "error") throw new Error(JSON.stringify(rest));
  return overallResult === "Allowed";
}
