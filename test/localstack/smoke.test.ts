import {
  CreateTableCommand,
  DynamoDBClient,
  GetItemCommand,
  TransactWriteItemsCommand,
  waitUntilTableExists,
} from "@aws-sdk/client-dynamodb";
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, expect, test } from "vitest";
import { request } from "./kit/request.ts";

/**
 * Tests of the behaviour of LocalStack on which all other tests here depend. If one of them fails,
 * look at it first.
 */

const dynamoDb = new DynamoDBClient();
const s3 = new S3Client({ forcePathStyle: true }); // A bucket's host name has no DNS entry.
const name = `smoke-${Date.now()}`;

afterAll(() => {
  dynamoDb.destroy();
  s3.destroy();
});

test("LocalStack is healthy when the tests begin", async () => {
  const response = await fetch(`${process.env["AWS_ENDPOINT_URL"]}/_localstack/health`);
  const { services } = (await response.json()) as { services: Record<string, string> };
  for (const service of ["dynamodb", "lambda", "s3", "stepfunctions"]) {
    expect(services).toHaveProperty(service);
  }
});

test("DynamoDB applies a transaction once that is sent twice with one token", async () => {
  await dynamoDb.send(
    new CreateTableCommand({
      TableName: name,
      BillingMode: "PAY_PER_REQUEST",
      KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }],
      AttributeDefinitions: [{ AttributeName: "pk", AttributeType: "S" }],
    }),
  );
  await waitUntilTableExists({ client: dynamoDb, maxWaitTime: 60 }, { TableName: name });
  const Key = { pk: { S: "counter" } };
  const add = (by: string, token: string) =>
    dynamoDb.send(
      new TransactWriteItemsCommand({
        ClientRequestToken: token,
        TransactItems: [
          {
            Update: {
              TableName: name,
              Key,
              UpdateExpression: "ADD n :by",
              ExpressionAttributeValues: { ":by": { N: by } },
            },
          },
        ],
      }),
    );

  await add("1", `${name}-a`);
  await add("1", `${name}-a`);
  await expect(add("2", `${name}-a`)).rejects.toThrow(
    expect.objectContaining({ name: "IdempotentParameterMismatchException" }),
  );
  await add("1", `${name}-b`);

  const { Item } = await dynamoDb.send(new GetItemCommand({ TableName: name, Key, ConsistentRead: true }));
  expect(Item?.["n"]).toEqual({ N: "2" });
});

test("DynamoDB says which condition cancelled a transaction and changes nothing", async () => {
  const put = (pk: string) => ({
    Put: {
      TableName: name,
      Item: { pk: { S: pk } },
      ConditionExpression: "attribute_not_exists(pk)",
    },
  });
  await dynamoDb.send(new TransactWriteItemsCommand({ TransactItems: [put("there")] }));
  await expect(
    dynamoDb.send(new TransactWriteItemsCommand({ TransactItems: [put("new"), put("there")] })),
  ).rejects.toMatchObject({
    name: "TransactionCanceledException",
    CancellationReasons: [{ Code: "None" }, { Code: "ConditionalCheckFailed" }],
  });
  const { Item } = await dynamoDb.send(new GetItemCommand({ TableName: name, Key: { pk: { S: "new" } } }));
  expect(Item).toBeUndefined();
});

test("S3 answers 412 to the second put of an absent object", async () => {
  await s3.send(new CreateBucketCommand({ Bucket: name }));
  const put = (Body: string) =>
    s3.send(new PutObjectCommand({ Bucket: name, Key: "winner", Body, IfNoneMatch: "*" }));
  await put("first");
  await expect(put("second")).rejects.toMatchObject({
    name: "PreconditionFailed",
    $metadata: { httpStatusCode: 412 },
  });
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: name, Key: "winner" }));
  expect(await Body?.transformToString()).toBe("first");
});

test("Step Functions evaluates JSONata expressions", async () => {
  const definition = {
    QueryLanguage: "JSONata",
    StartAt: "Sum",
    States: { Sum: { Type: "Pass", Output: "{% $sum($states.input) %}", End: true } },
  };
  const { stateMachineArn } = await request("states", "AWSStepFunctions.CreateStateMachine", {
    name,
    type: "EXPRESS",
    roleArn: "arn:aws:iam::000000000000:role/smoke",
    definition: JSON.stringify(definition),
  });
  const answer = await request("states", "AWSStepFunctions.StartSyncExecution", {
    stateMachineArn,
    input: "[1, 2, 3]",
  });
  expect(answer).toMatchObject({ status: "SUCCEEDED", output: "6" });
});
