import { z } from "zod";
import { invocationLimits } from "../../shared/aws/request-limits.ts";
import type { VacuumEvent } from "../../shared/aws/state.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import { loadOptional } from "../../shared/contract/optional-package.ts";
import type { VacuumReport, VacuumRequest } from "../../shared/engine/vacuum.ts";
import { callAws } from "./aws.ts";

const Result = z.object({ files: z.number(), bytes: z.number() });
const Report: z.ZodType<VacuumReport> = z.object({ staged: Result, planned: Result });
const Failure = z.object({ errorType: z.string().optional(), errorMessage: z.string() });

/** Loads the client that calls functions. Error: `DEPENDENCY_MISSING`. */
export function loadLambda(): Promise<typeof import("@aws-sdk/client-lambda")> {
  return loadOptional("@aws-sdk/client-lambda", () => import("@aws-sdk/client-lambda"));
}

/**
 * Invokes the pipeline's vacuum function. Errors: `DEPENDENCY_MISSING`, `FUNCTION_FAILED`,
 * `AWS_FAILED`.
 */
export async function vacuumDeployed(
  pipeline: string,
  functionName: string,
  request: VacuumRequest,
): Promise<VacuumReport> {
  const { InvokeCommand, LambdaClient } = await loadLambda();
  const { FunctionError, Payload } = await callAws("Invoke", () =>
    new LambdaClient({ requestHandler: invocationLimits() }).send(
      new InvokeCommand({
        FunctionName: functionName,
        Payload: JSON.stringify(request satisfies VacuumEvent),
      }),
    ),
  );
  const answer: unknown = JSON.parse(Buffer.from(Payload ?? []).toString() || "null");
  const report = FunctionError === undefined ? Report.safeParse(answer).data : undefined;
  if (report !== undefined) return report;
  const failure = Failure.safeParse(answer).data;
  const problem =
    failure === undefined ? "it gave no report" : `${failure.errorType}: ${failure.errorMessage}`;
  throw new MillraceError("FUNCTION_FAILED", `the function ${functionName} failed: ${problem}`, {
    where: { pipeline },
    hint: "See the function's log in CloudWatch.",
  });
}
