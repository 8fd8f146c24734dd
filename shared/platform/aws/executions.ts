import { DescribeExecutionCommand, type SFNClient } from "@aws-sdk/client-sfn";
import type { Owner } from "../../engine/ports/ledger.ts";

const ENDED: ReadonlySet<string | undefined> = new Set(["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]);

/**
 * True if the owner is an execution of a Standard workflow that has ended. Step Functions cannot
 * describe Express executions, so their lease has to expire.
 */
export async function hasEnded(client: Pick<SFNClient, "send">, owner: Owner): Promise<boolean> {
  if (!/^arn:[^:]+:states:[^:]+:[^:]+:execution:/.test(owner.id)) return false;
  try {
    const { status } = await client.send(new DescribeExecutionCommand({ executionArn: owner.id }));
    return ENDED.has(status);
  } catch {
    // If the execution cannot be described, it is not certain that it has ended.
    return false;
  }
}
