import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Server } from "node:net";
import { join } from "node:path";
import { DynamoDBClient, ListTablesCommand } from "@aws-sdk/client-dynamodb";
import { S3Client } from "@aws-sdk/client-s3";
import { describe, expect, it, onTestFinished } from "vitest";
import { invocationLimits, requestLimits, transferLimits } from "../../shared/aws/request-limits.ts";
import { isTransient } from "../../shared/aws/transient.ts";
import { S3Store } from "../../shared/platform/aws/s3-store.ts";
import { runtimeAt } from "../support/api-server.ts";
import { ROOT } from "../support/root.ts";

const credentials = { accessKeyId: "test", secretAccessKey: "test" };
/** The limits, shortened so that the test does not wait for them. */
const SHORT = { connectionTimeout: 300, requestTimeout: 300, socketTimeout: 300 };

/** Starts a server that accepts connections and never answers. */
async function silentServer(): Promise<string> {
  const server = createTcpServer((socket) => {
    socket.on("error", () => undefined);
    onTestFinished(() => void socket.destroy());
  });
  return await listening(server);
}

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

describe("requests of AWS clients", () => {
  it("A request to a server that never answers fails with a transient error", async () => {
    const client = new DynamoDBClient({
      endpoint: await silentServer(),
      region: "eu-central-1",
      credentials,
      maxAttempts: 2,
      requestHandler: { ...requestLimits(), ...SHORT },
    });
    const error = await failure(client.send(new ListTablesCommand({})));
    expect(error).toMatchObject({ name: "TimeoutError" });
    expect(isTransient(error)).toBe(true);
  });

  it("A request whose answer stops in the middle of its body fails", async () => {
    const server = createServer((_request, response) => {
      response.writeHead(200, { "content-length": "100", "content-type": "application/x-amz-json-1.0" });
      response.write('{"TableNames":');
    });
    onTestFinished(() => server.closeAllConnections());
    const client = new DynamoDBClient({
      endpoint: await listening(server),
      region: "eu-central-1",
      credentials,
      maxAttempts: 1,
      requestHandler: { ...requestLimits(), ...SHORT },
    });
    expect(await failure(client.send(new ListTablesCommand({})))).toBeInstanceOf(Error);
  });

  it("An object whose body stops in the middle is a store error, after retries", async () => {
    const server = createServer((_request, response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("some bytes");
    });
    onTestFinished(() => server.closeAllConnections());
    const client = new S3Client({
      endpoint: await listening(server),
      region: "eu-central-1",
      credentials,
      maxAttempts: 1,
      forcePathStyle: true,
      requestHandler: { ...transferLimits(), ...SHORT },
    });
    const store = new S3Store({ client, bucket: "b", prefix: "p", runtime: runtimeAt(0) });
    expect(await failure(store.get("key"))).toMatchObject({ code: "STORE_FAILED", retryable: true });
  });

  it("Every limit is set, and a limit includes the time for which the service itself waits", () => {
    for (const limits of [requestLimits(), requestLimits(20_000), transferLimits(), invocationLimits()]) {
      for (const limit of [limits.connectionTimeout, limits.requestTimeout, limits.socketTimeout]) {
        expect(limit).toBeGreaterThan(0);
        expect(limit).toBeLessThanOrEqual(1_000_000);
      }
      expect(limits.throwOnRequestTimeout).toBe(true);
    }
    expect(requestLimits(20_000).requestTimeout).toBeGreaterThan(20_000);
    expect(requestLimits(20_000).socketTimeout).toBeGreaterThan(20_000);
    expect(invocationLimits().socketTimeout).toBeGreaterThan(900_000);
  });

  it("Every AWS client of the package has limits", () => {
    const made = ["cli", "functions", "local", "shared", "infra"].flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
        .filter((file) => file.endsWith(".ts"))
        .flatMap((file) => clientsIn(join(folder, file))),
    );
    expect(made.length).toBeGreaterThan(10);
    expect(made.filter(({ text }) => !/requestHandler: .*Limits\(/.test(text))).toEqual([]);
  });
});

/** Returns the expressions of a file that create a client of the AWS SDK. */
function clientsIn(file: string): { readonly file: string; readonly text: string }[] {
  const source = readFileSync(join(ROOT, file), "utf8");
  if (!/@aws-sdk\/client-|typeof Sdk/.test(source)) return [];
  return [...source.matchAll(/new (?:sdk\.)?[A-Z]\w*Client\(\{?[^;]*?\}?\)[;,)]/g)]
    .map(([text]) => ({ file, text }))
    .filter(({ text }) => !/^new AwsClient/.test(text));
}
