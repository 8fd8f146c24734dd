import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { afterAll, beforeAll, vi } from "vitest";
import { startMiniStack } from "../../iceberg/support/servers.ts";

/** Starts an emulator of DynamoDB before the tests of a suite. Returns what gives its client. */
export function useDynamoDb(): () => DynamoDBClient {
  let client: DynamoDBClient;
  let stop: () => Promise<void>;

  beforeAll(async () => {
    const server = await startMiniStack("dynamodb");
    vi.stubEnv("AWS_ACCESS_KEY_ID", "test");
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", "test");
    vi.stubEnv("AWS_REGION", "us-east-1");
    vi.stubEnv("AWS_ENDPOINT_URL_DYNAMODB", `http://127.0.0.1:${server.port}`);
    client = new DynamoDBClient({});
    stop = async () => await server.stop();
  });
  afterAll(async () => {
    client.destroy();
    vi.unstubAllEnvs();
    await stop();
  });
  return () => client;
}
