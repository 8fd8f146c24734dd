import { randomUUID } from "node:crypto";
import { CreateTableCommand, DynamoDBClient, waitUntilTableExists } from "@aws-sdk/client-dynamodb";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { runtime } from "../../local/home.ts";
import { DynamoDbLedger } from "../../shared/platform/aws/dynamodb-ledger.ts";
import { S3Store } from "../../shared/platform/aws/s3-store.ts";

/** Clients of the LocalStack at AWS_ENDPOINT_URL, which every AWS SDK reads. */
export const dynamodb: DynamoDBClient = new DynamoDBClient({});
export const s3: S3Client = new S3Client({ forcePathStyle: true });

/** Creates a ledger on a new table. */
export async function newLedger(): Promise<{ readonly ledger: DynamoDbLedger; readonly tableName: string }> {
  const tableName = `ledger-${randomUUID()}`;
  await dynamodb.send(
    new CreateTableCommand({
      TableName: tableName,
      BillingMode: "PAY_PER_REQUEST",
      AttributeDefinitions: [
        { AttributeName: "pk", AttributeType: "S" },
        { AttributeName: "sk", AttributeType: "S" },
      ],
      KeySchema: [
        { AttributeName: "pk", KeyType: "HASH" },
        { AttributeName: "sk", KeyType: "RANGE" },
      ],
    }),
  );
  await waitUntilTableExists({ client: dynamodb, maxWaitTime: 30 }, { TableName: tableName });
  return {
    tableName,
    ledger: new DynamoDbLedger({ client: dynamodb, tableName, runtime }),
  };
}

/** Creates a store below a prefix of a new bucket. */
export async function newStore(): Promise<S3Store> {
  const bucket = `store-${randomUUID()}`;
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
  return new S3Store({ client: s3, bucket, prefix: "some/prefix", runtime });
}
