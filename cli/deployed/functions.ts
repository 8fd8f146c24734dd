import { z } from "zod";
import { invocationLimits } from "../../shared/aws/request-limits.ts";
import type { OfBackfill } from "../../shared/aws/state.ts";
import { pipelineOfBackfill } from "../../shared/contract/backfill.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import { loadOptional } from "../../shared/contract/optional-package.ts";
import { callAws } from "./aws.ts";

const Failure = z.object({ errorType: z.string().optional(), errorMessage: z.string() });

/** Loads the client that calls functions. Error: `DEPENDENCY_MISSING`. */
export function loadLambda(): Promise<typeof import("@aws-sdk/client-lambda")> {
  return loadOptional("@aws-sdk/client-lambda", () => import("@aws-sdk/client-lambda"));
}

/**
 * Invokes a function of a deployed pipeline and returns its answer, if it has the expected form.
 * Errors: `DEPENDENCY_MISSING`, `FUNCTION_FAILED`, `AWS_FAILED`.
 */
export async function invoke<Answer>(
  pipeline: string,
  functionName: string,
  event: object,
  form: z.ZodType<Answer>,
): Promise<Answer> {
  const { InvokeCommand, LambdaClient } = await loadLambda();
  const { FunctionError, Payload } = await callAws("Invoke", () =>
    new LambdaClient({ requestHandler: invocationLimits() }).send(
      new InvokeCommand({ FunctionName: functionName, Payload: JSON.stringify(event) }),
    ),
  );
  const answer: unknown = JSON.parse(Buffer.from(Payload ?? []).toString() || "null");
  const parsed = FunctionError === undefined ? form.safeParse(answer).data : undefined;
  if (parsed !== undefined) return parsed;
  const failure = Failure.safeParse(answer).data;
  const problem =
    failure === undefined ? "it gave no report" : `${failure.errorType}: ${failure.errorMessage}`;
  throw new MillraceError("FUNCTION_FAILED", `the function ${functionName} failed: ${problem}`, {
    where: { pipeline },
    hint: "See the function's log in CloudWatch.",
  });
}

/** Returns what tells a function that it is called for a backfill of its pipeline. */
export function ofBackfill(name: string): OfBackfill {
  return pipelineOfBackfill(name) === undefined ? {} : { backfill: name };
}
