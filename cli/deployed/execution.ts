import { DescribeExecutionCommand, type SFNClient, StartExecutionCommand } from "@aws-sdk/client-sfn";
import { z } from "zod";
import {
  type Continued,
  type Done,
  type ExecutionInput,
  type NextExecution,
  WHY_DONE,
} from "../../shared/aws/state.ts";
import { asking } from "./aws.ts";

/** How an execution is. */
export interface ExecutionState {
  readonly status: "running" | "succeeded" | "failed";
  /** What Step Functions says of an execution that failed. */
  readonly problem?: string;
  /** True if it did nothing, because another one has the pipeline. */
  readonly isRefused?: boolean;
  /** True if another execution goes on from it. */
  readonly isContinued?: boolean;
  /** ARN of that execution; a state machine that an older version deployed does not tell. */
  readonly continuedBy?: string;
}

const CONTINUED: Continued["next"] = "Continue";

/** The output of an execution that ended well, as far as it is looked at. */
const Answer = z.object({
  next: z.string().optional(),
  why: z.string().optional(),
  execution: z.string().optional(),
} satisfies { [Field in keyof Done | keyof Continued | keyof NextExecution]?: z.ZodType });
/** What Step Functions passes on of a function that failed. */
const Cause = z.object({ errorMessage: z.string() });

/** Starts an execution and returns its ARN. Error: `AWS_FAILED`. */
export async function startExecution(
  client: SFNClient,
  stateMachineArn: string,
  input: ExecutionInput,
): Promise<string> {
  const { executionArn } = await asking("StartExecution", () =>
    client.send(new StartExecutionCommand({ stateMachineArn, input: JSON.stringify(input) })),
  );
  return executionArn ?? "";
}

/** False for Express executions, which Step Functions does not describe. */
export function canDescribe(executionArn: string): boolean {
  return executionArn.includes(":execution:");
}

/** How an execution is. Error: `AWS_FAILED`. */
export async function describeExecution(client: SFNClient, executionArn: string): Promise<ExecutionState> {
  const { status, error, cause, output } = await asking("DescribeExecution", () =>
    client.send(new DescribeExecutionCommand({ executionArn })),
  );
  if (status === "RUNNING") return { status: "running" };
  if (status === "SUCCEEDED") {
    const { next, why, execution } = Answer.safeParse(parsed(output)).data ?? {};
    const isContinued = next === CONTINUED;
    return {
      status: "succeeded",
      isRefused: why === WHY_DONE.refused,
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
