import { randomUUID } from "node:crypto";
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  type ReceiveMessageCommandOutput,
  SendMessageBatchCommand,
  type SendMessageBatchRequestEntry,
  SQSClient,
} from "@aws-sdk/client-sqs";
import { runtime as realRuntime } from "../../../local/home.ts";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { Batches, type QueueOffset } from "../../../shared/connectors/sqs/batches.ts";
import { Sqs, type SqsOptions } from "../../../shared/connectors/sqs/index.ts";
import { Queue } from "../../../shared/connectors/sqs/queue.ts";
import { SqsReader } from "../../../shared/connectors/sqs/stream-reader.ts";
import type { DataSourceRuntime } from "../../../shared/contract/context.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { parseOptions } from "../../../shared/contract/options/parse.ts";
import { withStores } from "../../support/runtime.ts";

export type Row = Record<string, unknown>;
export type Middleware = (
  commandName: string,
  next: () => Promise<ReceiveMessageCommandOutput>,
) => Promise<unknown>;

export const client = new SQSClient({});
export const json = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;
export const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
export const sorted = (ids: readonly number[]) => [...ids].sort((a, b) => a - b);
export const idsOf = (rows: readonly Row[]) =>
  rows.map(({ body }) => (JSON.parse(String(body)) as { id: number }).id);

export async function newQueue(
  options: { fifo?: boolean; attributes?: Record<string, string> } = {},
): Promise<string> {
  const { QueueUrl = "" } = await client.send(
    new CreateQueueCommand({
      QueueName: `queue-${randomUUID()}${options.fifo ? ".fifo" : ""}`,
      Attributes: { ...(options.fifo ? { FifoQueue: "true" } : {}), ...options.attributes },
    }),
  );
  return QueueUrl;
}

/**
 * Sends messages with the ids `from` to `to`. On a FIFO queue, the messages are divided into
 * `groups` groups.
 */
export async function send(QueueUrl: string, from: number, to: number, groups?: number): Promise<void> {
  const entries = range(from, to).map(
    (id): SendMessageBatchRequestEntry => ({
      Id: String(id),
      MessageBody: JSON.stringify({ id }),
      ...(groups === undefined
        ? {}
        : { MessageGroupId: `group-${id % groups}`, MessageDeduplicationId: String(id) }),
    }),
  );
  for (let i = 0; i < entries.length; i += 10)
    await client.send(new SendMessageBatchCommand({ QueueUrl, Entries: entries.slice(i, i + 10) }));
}

export async function sendBodies(QueueUrl: string, ...bodies: string[]): Promise<void> {
  const Entries = bodies.map((MessageBody, i) => ({ Id: String(i), MessageBody }));
  await client.send(new SendMessageBatchCommand({ QueueUrl, Entries }));
}

/** Returns the numbers of visible and of hidden messages in the queue. */
export async function counts(QueueUrl: string): Promise<{ visible: number; hidden: number }> {
  const { Attributes = {} } = await client.send(
    new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["All"] }),
  );
  return {
    visible: Number(Attributes["ApproximateNumberOfMessages"]),
    hidden: Number(Attributes["ApproximateNumberOfMessagesNotVisible"]),
  };
}

interface Given extends Partial<SqsOptions> {
  /** The runtime with the store that all processes of a pipeline share. */
  readonly around?: DataSourceRuntime;
  /** A function that is called around each request. */
  readonly middleware?: Middleware;
}

/** Creates a reader as a new process does. */
export async function readerOf(queueUrl: string, given: Given = {}): Promise<SqsReader> {
  const { around = withStores(realRuntime), middleware, ...options } = given;
  const parsed = await parseOptions(Sqs, { queueUrl, ...options });
  const own = new SQSClient({});
  if (middleware !== undefined) {
    own.middlewareStack.add(
      (next, context) => async (args) => {
        const output = await middleware(
          String(context["commandName"]),
          async () => (await next(args)).output as ReceiveMessageCommandOutput,
        );
        return { output: output as ReceiveMessageCommandOutput, response: {} };
      },
      { step: "deserialize", priority: "high", name: "faults" },
    );
  }
  return new SqsReader({
    schema: parseDdl(new Sqs(parsed, around).schema()),
    options: parsed,
    runtime: around,
    queue: new Queue(parsed, around, own),
    batches: new Batches(around.store),
  });
}

/** Returns the rows of a batch. Each partition is read with a new reader. */
export async function rowsIn(
  start: QueueOffset,
  end: QueueOffset,
  queueUrl: string,
  given: Given,
): Promise<Row[]> {
  const planner = await readerOf(queueUrl, given);
  const rows: Row[] = [];
  for (const partition of json(planner.partitions(start, end)))
    for await (const batch of (await readerOf(queueUrl, given)).read(partition)) rows.push(...rowsOf(batch));
  return rows;
}
