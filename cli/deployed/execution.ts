import { DescribeExecutionCommand, type SFNClient, StartExecutionCommand } from "@aws-sdk/client-sfn";
import { z } from "zod";
import {
  type Continued,
  type Done,
  type ExecutionInput,
  type NextExecution,
  WHY_DONE,
} from "../../shared/aws/state.ts";
import { callAws } from "./aws.ts";

/** The state of an execution. */
export interface ExecutionState {
  readonly status: "running" | "succeeded" | "failed";
  /** Why the execution failed, as reported by Step Functions. */
  readonly problem?: string;
  /** True if it did nothing because another run held the pipeline's lease. */
  readonly isRefused?: boolean;
  /** True if another execution continues its work. */
  readonly isContinued?: boolean;
  /**
   * ARN of the execution that continues. It is missing if an older version deployed the state
   * machine.
   */
  readonly continuedBy?: string;
}

const CONTINUED: Continued["next"] = "Continue";

/** The fields of a successful execution's output that are used here. */
const Answer = z.object({
  next: z.string().optional(),
  why: z.string().optional(),
  execution: z.string().optional(),
} satisfies { [Field in keyof Done | keyof Continued | keyof NextExecution]?: z.ZodType });
/** The cause that Step Functions reports for a failed function. */
const Cause = z.object({ errorMessage: z.string() });

/** Starts an execution and returns its ARN. Error: `AWS_FAILED`. */
export async function startExecution(
  client: SFNClient,
  stateMachineArn: string,
  input: ExecutionInput,
): Promise<string> {
  const { executionArn } = await callAws("StartExecution", () =>
    client.send(new StartExecutionCommand({ stateMachineArn, input: JSON.stringify(input) })),
  );
  return executionArn ?? "";
}

/** Returns false for Express executions, because DescribeExecution does not support them. */
export function canDescribe(executionArn: string): boolean {
  return executionArn.includes(":execution:");
}

/** Returns the state of an execution. Error: `AWS_FAILED`. */
export async function describeExecution(client: SFNClient, executionArn: string): Promise<ExecutionState> {
  const { status, error, cause, output } = await callAws("DescribeExecution", () =>
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
