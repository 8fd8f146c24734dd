import type { Message, SQSClient } from "@aws-sdk/client-sqs";
import { requestLimits } from "../../aws/request-limits.ts";
import type { Runtime } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import { optional } from "../../contract/optional.ts";
import { loadOptional } from "../../contract/optional-package.ts";
import type { RetryPolicy } from "../../contract/retry.ts";
import { atOnce } from "../kit/at-once.ts";
import { AwsClient } from "../kit/aws-client.ts";
import type { ParsedOptions } from "./options.ts";
import type * as Sdk from "./sdk.ts";

/** A received message. */
export interface Received {
  readonly messageId: string;
  /**
   * The handle for deleting the message. Each delivery has a new one; only the latest is certain to
   * work.
   */
  readonly receiptHandle: string;
  readonly body: string;
  /** Time at which the message was sent, in epoch milliseconds. */
  readonly sentAt: number;
  /** Message group; `null` unless the queue is a FIFO queue. */
  readonly messageGroupId: string | null;
  /** Sequence number; `null` unless the queue is a FIFO queue. */
  readonly sequenceNumber: string | null;
  /** String values; binary values are in base64. */
  readonly messageAttributes: Readonly<Record<string, string>>;
}

/** The data needed to delete a message. */
export type Receipt = Pick<Received, "messageId" | "receiptHandle">;

/** What a queue is. */
export interface QueueSummary {
  readonly hasDeadLetterQueue: boolean;
  /** When the queue was made, as SQS tells it: seconds since 1970. */
  readonly created?: string;
}

/** Maximum number of entries in one SQS request. */
export const ENTRIES = 10;
/** Number of requests that are sent in parallel. */
export const REQUESTS_AT_ONCE = 8;
/**
 * Error codes for an expired receipt handle. The queue will deliver such a message again. FIFO
 * queues return them; some standard queues do too.
 */
const TOO_OLD = /ReceiptHandleIsInvalid|InvalidParameterValue/;
/**
 * Every call is safe to repeat. If a response with messages is lost, the queue delivers them again
 * after their visibility timeout. Deleting a message twice, or making it visible twice, has no
 * further effect.
 */
const RETRIES: RetryPolicy = { attempts: 6, firstDelay: 200, longestDelay: 5000 };

/** Loads the AWS SDK for SQS. Error: `DEPENDENCY_MISSING`. */
export function loadSdk(): Promise<typeof Sdk> {
  return loadOptional("@aws-sdk/client-sqs", () => import("./sdk.ts"));
}

/** Sends requests to one queue. */
export class Queue {
  readonly #options: ParsedOptions;
  readonly #client: AwsClient<SQSClient, typeof Sdk>;

  /** If `client` is not given, one is created when it is first needed. */
  constructor(options: ParsedOptions, runtime: Runtime, client?: SQSClient) {
    this.#options = options;
    const make = (sdk: typeof Sdk) => makeClient(sdk, options);
    const toError = (call: string, thrown: Error, retryable: boolean) =>
      this.#failed(call, `${thrown.name}: ${thrown.message}`, retryable, thrown);
    this.#client = new AwsClient({ runtime, retries: RETRIES, sdk: loadSdk, make, toError }, client);
  }

  /**
   * Receives at most 10 messages. The result is empty if no message arrived within
   * `waitTimeSeconds`.
   */
  async receive(max: number): Promise<Received[]> {
    const { queueUrl: QueueUrl, waitTimeSeconds, visibilityTimeoutSeconds } = this.#options;
    const { Messages = [] } = await this.#client.call("ReceiveMessage", (client, { ReceiveMessageCommand }) =>
      client.send(
        new ReceiveMessageCommand({
          QueueUrl,
          MaxNumberOfMessages: max,
          WaitTimeSeconds: waitTimeSeconds,
          VisibilityTimeout: visibilityTimeoutSeconds,
          MessageSystemAttributeNames: ["SentTimestamp", "MessageGroupId", "SequenceNumber"],
          MessageAttributeNames: ["All"],
        }),
      ),
    );
    return Messages.map(toReceived);
  }

  /**
   * Deletes messages. A message whose receipt handle has expired is not deleted; the queue will
   * deliver it again. Error: `SQS_FAILED`.
   */
  async delete(receipts: readonly Receipt[]): Promise<void> {
    const { queueUrl: QueueUrl } = this.#options;
    await this.#inBatches(receipts, async (batch) => {
      let left = batch;
      await this.#client.call("DeleteMessageBatch", async (client, { DeleteMessageBatchCommand }) => {
        const command = new DeleteMessageBatchCommand({ QueueUrl, Entries: left.map(toEntry) });
        const { Failed = [] } = await client.send(command);
        const failed = Failed.filter(({ Code = "" }) => !TOO_OLD.test(Code));
        if (failed.length === 0) return;
        left = failed.flatMap(({ Id }) => left[Number(Id)] ?? []);
        throw this.#failed("DeleteMessageBatch", `${failed[0]?.Code}`, true);
      });
    });
  }

  /** Makes messages visible to other consumers immediately. */
  async giveBack(receipts: readonly Receipt[]): Promise<void> {
    const { queueUrl: QueueUrl } = this.#options;
    await this.#inBatches(receipts, async (batch) => {
      const Entries = batch.map((receipt, i) => ({ ...toEntry(receipt, i), VisibilityTimeout: 0 }));
      await this.#client.call("ChangeMessageVisibilityBatch", (client, sdk) =>
        client.send(new sdk.ChangeMessageVisibilityBatchCommand({ QueueUrl, Entries })),
      );
    });
  }

  /** Looks the queue up. */
  async describe(): Promise<QueueSummary> {
    const { queueUrl: QueueUrl } = this.#options;
    const { Attributes = {} } = await this.#client.call(
      "GetQueueAttributes",
      (client, { GetQueueAttributesCommand }) =>
        client.send(
          new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["RedrivePolicy", "CreatedTimestamp"] }),
        ),
    );
    return {
      hasDeadLetterQueue: Attributes.RedrivePolicy !== undefined,
      ...optional("created", Attributes.CreatedTimestamp),
    };
  }

  close(): void {
    this.#client.close();
  }

  async #inBatches(
    receipts: readonly Receipt[],
    body: (batch: readonly Receipt[]) => Promise<void>,
  ): Promise<void> {
    const length = Math.ceil(receipts.length / ENTRIES);
    const batches = Array.from({ length }, (_, i) => receipts.slice(i * ENTRIES, (i + 1) * ENTRIES));
    await atOnce(REQUESTS_AT_ONCE, batches, body);
  }

  #failed(call: string, problem: string, retryable: boolean, cause?: unknown): MillraceError {
    const { queueUrl } = this.#options;
    return new MillraceError("SQS_FAILED", `${call} of ${queueUrl} failed: ${problem}`, {
      where: { url: queueUrl },
      retryable,
      hint: "Check the queue's URL, region and credentials, and what they may do: docs/sqs.md has the rights.",
      cause,
    });
  }
}

function makeClient(
  sdk: typeof Sdk,
  { queueUrl, endpoint, waitTimeSeconds, region = regionOf(queueUrl) }: ParsedOptions,
): SQSClient {
  return new sdk.SQSClient({
    // ReceiveMessage is a long poll.
    requestHandler: requestLimits(waitTimeSeconds * 1000),
    ...optional("region", region),
    // Without this setting the SDK ignores `endpoint` and sends requests to the queue's URL.
    ...(endpoint === undefined ? {} : { endpoint, useQueueUrlAsEndpoint: false }),
  });
}

function regionOf(queueUrl: string): string | undefined {
  return /^sqs\.([a-z0-9-]+)\.amazonaws\.com/.exec(new URL(queueUrl).hostname)?.[1];
}

function toEntry({ receiptHandle }: Receipt, index: number): { Id: string; ReceiptHandle: string } {
  return { Id: String(index), ReceiptHandle: receiptHandle };
}

function toReceived(message: Message): Received {
  const { MessageId = "", ReceiptHandle = "", Body = "", Attributes = {}, MessageAttributes = {} } = message;
  const attributes = Object.entries(MessageAttributes).map(([name, { StringValue, BinaryValue }]) => [
    name,
    StringValue ?? Buffer.from(BinaryValue ?? []).toString("base64"),
  ]);
  return {
    messageId: MessageId,
    receiptHandle: ReceiptHandle,
    body: Body,
    sentAt: Number(Attributes.SentTimestamp),
    messageGroupId: Attributes.MessageGroupId ?? null,
    sequenceNumber: Attributes.SequenceNumber ?? null,
    messageAttributes: Object.fromEntries(attributes) as Record<string, string>,
  };
}
