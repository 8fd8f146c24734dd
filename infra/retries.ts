import { Duration } from "aws-cdk-lib";
import { JitterType } from "aws-cdk-lib/aws-stepfunctions";
import type { LambdaInvoke } from "aws-cdk-lib/aws-stepfunctions-tasks";
import { STEP_ERROR } from "../shared/aws/names.ts";
import type { Figures } from "./figures.ts";

/** How often a task runs again because another attempt kept it from its commit, and then failed. */
const MOST_DENIALS = 8;
/** Errors of the service. A retry is safe: every step can be repeated, even if the function ran. */
const SERVICE_ERRORS = [
  "Lambda.ServiceException",
  "Lambda.AWSLambdaException",
  "Lambda.SdkClientException",
  "Lambda.ClientExecutionTimeoutException",
];
/** The account's limit of concurrent functions is reached; retries wait until others end. */
const THROTTLED = "Lambda.TooManyRequestsException";

/** Adds the retries of Plan or Finalize. */
export function retryStep(task: LambdaInvoke, { isExpress }: Pick<Figures, "isExpress">): void {
  retryService(task, isExpress);
  task.addRetry({ errors: [STEP_ERROR.final], maxAttempts: 0 });
  task.addRetry({
    errors: ["States.ALL"],
    interval: Duration.seconds(5),
    backoffRate: 2,
    maxAttempts: 2,
    jitterStrategy: JitterType.FULL,
  });
}

/** Adds the retries of a task. `isShort` is true if it runs in an execution of five minutes. */
export function retryWrite(
  write: LambdaInvoke,
  { maxAttempts, retryInterval }: Pick<Figures, "maxAttempts" | "retryInterval">,
  isShort: boolean,
): void {
  const waits = {
    interval: retryInterval,
    backoffRate: 2,
    maxDelay: Duration.minutes(1),
    jitterStrategy: JitterType.FULL,
  };
  retryService(write, isShort);
  write.addRetry({ errors: [STEP_ERROR.final], maxAttempts: 0 });
  // A retrier of its own, because a denied attempt does not count as a failed one.
  write.addRetry({ errors: [STEP_ERROR.denied], ...waits, maxAttempts: MOST_DENIALS });
  if (maxAttempts > 1) write.addRetry({ errors: ["States.ALL"], ...waits, maxAttempts: maxAttempts - 1 });
}

/**
 * Adds retries after errors of the service. If `isShort`, they wait at most two of the execution's
 * five minutes.
 */
function retryService(task: LambdaInvoke, isShort: boolean): void {
  task.addRetry({
    errors: [THROTTLED],
    interval: Duration.seconds(1),
    backoffRate: 2,
    maxDelay: Duration.seconds(30),
    maxAttempts: isShort ? 8 : 60,
    jitterStrategy: JitterType.FULL,
  });
  task.addRetry({
    errors: SERVICE_ERRORS,
    interval: Duration.seconds(1),
    backoffRate: 2,
    maxDelay: Duration.seconds(30),
    maxAttempts: 8,
    jitterStrategy: JitterType.FULL,
  });
}
