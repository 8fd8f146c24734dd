import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { requestLimits } from "../../aws/request-limits.ts";
import type { Runtime } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import type { RetryPolicy } from "../../contract/retry.ts";
import { AwsClient } from "../kit/aws-client.ts";

/** A new table, or one without burst capacity, throttles for longer than the SDK retries. */
const RETRIES: RetryPolicy = { attempts: 8, firstDelay: 100, longestDelay: 5000 };

/** Returns a client for one table. */
export function clientOf(table: string, runtime: Runtime): AwsClient<DynamoDBClient, undefined> {
  const sdk = async () => undefined;
  const make = () => new DynamoDBClient({ requestHandler: requestLimits() });
  const toError = (call: string, thrown: Error, retryable: boolean) =>
    callFailed(table, call, thrown, retryable);
  return new AwsClient({ runtime, retries: RETRIES, sdk, make, toError });
}

/** Creates the error without the service's message, which may quote an item. */
function callFailed(table: string, call: string, thrown: Error, retryable: boolean): MillraceError {
  return new MillraceError("DYNAMODB_FAILED", `${call} of ${table} failed: ${thrown.name}`, {
    where: { path: table },
    retryable,
    hint:
      thrown.name === "AccessDeniedException"
        ? 'The role lacks a right on the table: Plan needs dynamodb:GetItem; Finalize needs dynamodb:GetItem and dynamodb:PutItem; Write needs dynamodb:PutItem if the pipeline has .merge(). With the construct: `table.grant(pipeline.planFunction, "dynamodb:GetItem")` and `table.grant(pipeline.finalizeFunction, "dynamodb:GetItem", "dynamodb:PutItem")`.'
        : "Check that the table is there, and that its keys are those of the sink's options; its own message is below.",
    cause: thrown,
  });
}

/** The error of a commit that met other commits again and again. */
export function tableBusy(table: string, pipeline: string, conflicts: number): MillraceError {
  return new MillraceError("TABLE_BUSY", `${conflicts} commits in a row met another run's commit`, {
    where: { pipeline, path: table },
    hint: "If two homes run this pipeline, give one of them another name.",
    retryable: true,
  });
}
