import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { S3Client } from "@aws-sdk/client-s3";
import { SFNClient } from "@aws-sdk/client-sfn";
import { runtime } from "../../local/home.ts";
import { storePrefix } from "../../shared/aws/names.ts";
import { requestLimits, transferLimits } from "../../shared/aws/request-limits.ts";
import { liveName } from "../../shared/contract/backfill.ts";
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
    async names() {
      const names = [...pipelines].map(async ([pipeline, { table }]) => [
        pipeline,
        ...(await backfillsOf(openLedger(table), pipeline)),
      ]);
      return (await Promise.all(names)).flat().sort();
    },
    async ledgerOf(pipeline) {
      const table = pipelines.get(liveName(pipeline))?.table;
      const ledger = table === undefined ? undefined : openLedger(table);
      if (ledger === undefined || liveName(pipeline) === pipeline) return ledger;
      return (await ledger.head(pipeline)) === undefined ? undefined : ledger;
    },
    storeOf: (pipeline) => openStore(pipeline, pipelines.get(liveName(pipeline))),
    deployed(pipeline) {
      const deployed = pipelines.get(liveName(pipeline));
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
function openStore(
  pipeline: string,
  { bucket, prefix }: Partial<DeployedPipeline> = {},
): ObjectStore | undefined {
  if (bucket === undefined || prefix === undefined) return undefined;
  const client = new S3Client({
    forcePathStyle: process.env["AWS_ENDPOINT_URL"] !== undefined,
    requestHandler: transferLimits(),
  });
  return new S3Store({ client, bucket, prefix: storePrefix(prefix, pipeline), runtime });
}

/** Returns the names of a pipeline's backfills. */
async function backfillsOf(ledger: DynamoDbLedger, pipeline: string): Promise<readonly string[]> {
  const claims = (await ledger.head(pipeline))?.backfills ?? [];
  return claims.map(({ name }) => name);
}

function openLedger(tableName: string): DynamoDbLedger {
  return new DynamoDbLedger({
    client: new DynamoDBClient({ requestHandler: requestLimits() }),
    tableName,
    runtime,
  });
}
