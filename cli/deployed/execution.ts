import { DescribeExecutionCommand, SFNClient, StartExecutionCommand } from "@aws-sdk/client-sfn";
import { z } from "zod";
import type { Done, ExecutionInput, Finalized } from "../../shared/aws/state.ts";
import { asking } from "./aws.ts";

/** How an execution is. */
export interface ExecutionState {
  readonly status: "running" | "succeeded" | "failed";
  /** Of one that failed: what Step Functions says. */
  readonly problem?: string;
  /** True where it did nothing, because another one has the pipeline. */
  readonly isRefused?: boolean;
  /** True where another execution goes on from it. */
  readonly isContinued?: boolean;
  /** ARN of that one; a state machine that an older version deployed does not tell. */
  readonly continuedBy?: string;
}

const REFUSED: Done["why"] = "another run has the pipeline";
const CONTINUED: Finalized["next"] = "Continue";

const Output = z.object({
  next: z.string().optional(),
  why: z.string().optional(),
  execution: z.string().optional(),
});
/** What Step Functions passes on of a function that failed. */
const Cause = z.object({ errorMessage: z.string() });

/** Starts an execution and gives its ARN. Error: `AWS_FAILED`. */
export async function startExecution(stateMachineArn: string, input: ExecutionInput): Promise<string> {
  const { executionArn } = await asking("StartExecution", () =>
    new SFNClient({}).send(new StartExecutionCommand({ stateMachineArn, input: JSON.stringify(input) })),
  );
  return executionArn ?? "";
}

/** False for Express executions, which Step Functions does not describe. */
export function canDescribe(executionArn: string): boolean {
  return executionArn.includes(":execution:");
}

/** How an execution is. Error: `AWS_FAILED`. */
export async function describeExecution(executionArn: string): Promise<ExecutionState> {
  const { status, error, cause, output } = await asking("DescribeExecution", () =>
    new SFNClient({}).send(new DescribeExecutionCommand({ executionArn })),
  );
  if (status === "RUNNING") return { status: "running" };
  if (status === "SUCCEEDED") {
    const { next, why, execution } = Output.safeParse(parsed(output)).data ?? {};
    const isContinued = next === CONTINUED;
    return {
      status: "succeeded",
      isRefused: why === REFUSED,
      isContinued,
      ...(isContinued && execution !== undefined ? { continuedBy: execution } : {}),
    };
  }
  const reason = Cause.safeParse(parsed(cause)).data?.errorMessage ?? cause;
  const problem = [status, error, reason].filter((part) => part !== undefined && part !== "").join(": ");
  return { status: "failed", problem };
}

function parsed(json: string | undefined): unknown {
  try {
    return JSON.parse(json ?? "");
  } catch {
    return undefined;
  }
}
