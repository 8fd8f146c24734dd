import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { S3Client } from "@aws-sdk/client-s3";
import { SFNClient } from "@aws-sdk/client-sfn";
import { runtime } from "../../local/home.ts";
import { requestLimits, transferLimits } from "../../shared/aws/request-limits.ts";
import type { ObjectStore } from "../../shared/contract/object-store.ts";
import { DynamoDbLedger } from "../../shared/platform/aws/dynamodb-ledger.ts";
import { hasEnded } from "../../shared/platform/aws/executions.ts";
import { S3Store } from "../../shared/platform/aws/s3-store.ts";
import { type DeployedPipeline, readStack } from "../deployed/stack.ts";
import { ledgerTarget, type Target } from "./target.ts";

/** A stack, whose pipelines can also be run. */
export interface StackTarget extends Target {
  readonly name: string;
  /** Returns the stack's output for one of its pipelines. */
  deployed(pipeline: string): DeployedPipeline;
}

/** Returns the target for the ledgers in one DynamoDB table. */
export function tableTarget(table: string): Target {
  return { ...ledgerTarget(openLedger(table), `in table ${table}`), ...AWS, storeOf: () => undefined };
}

/** Returns the target for the pipelines of one stack. Errors: `STACK_NOT_FOUND`, `AWS_FAILED`. */
export async function stackTarget(name: string): Promise<StackTarget> {
  const pipelines = await readStack(name);
  return {
    ...AWS,
    name,
    place: `in stack ${name}`,
    names: async () => [...pipelines.keys()].sort(),
    async ledgerOf(pipeline) {
      const table = pipelines.get(pipeline)?.table;
      return table === undefined ? undefined : openLedger(table);
    },
    storeOf: (pipeline) => openStore(pipelines.get(pipeline)),
    deployed(pipeline) {
      const deployed = pipelines.get(pipeline);
      if (deployed === undefined) throw new Error(`${pipeline} was not found in stack ${name} before`);
      return deployed;
    },
  };
}

/**
 * An execution's lease is free when the execution has ended. A lease that this process claims is
 * free only when it expires.
 */
const AWS: Pick<Target, "hasEnded" | "claim" | "close" | "logPath"> = {
  logPath: () => undefined,
  hasEnded: (owner) => hasEnded(new SFNClient({ requestHandler: requestLimits() }), owner),
  claim: (description) => ({ owner: { id: runtime.newId(), description }, end: () => undefined }),
  close: () => undefined,
};

/**
 * Returns `undefined` if an older version deployed the stack, because its output does not name the
 * store.
 */
function openStore({ bucket, prefix }: Partial<DeployedPipeline> = {}): ObjectStore | undefined {
  if (bucket === undefined || prefix === undefined) return undefined;
  const client = new S3Client({
    forcePathStyle: process.env["AWS_ENDPOINT_URL"] !== undefined,
    requestHandler: transferLimits(),
  });
  return new S3Store({ client, bucket, prefix, runtime });
}

function openLedger(tableName: string): DynamoDbLedger {
  return new DynamoDbLedger({
    client: new DynamoDBClient({ requestHandler: requestLimits() }),
    tableName,
    runtime,
  });
}
