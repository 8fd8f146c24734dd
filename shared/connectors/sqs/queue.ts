import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  type Message,
  ReceiveMessageCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import { isTransient } from "../../aws/transient.ts";
import type { Runtime } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import { atOnce } from "../kit/at-once.ts";
import type { ParsedOptions } from "./options.ts";

/** A message as it was received. */
export interface Received {
  readonly messageId: string;
  /** Deletes it, once it was received no more. */
  readonly receiptHandle: string;
  readonly body: string;
  /** Epoch milliseconds. */
  readonly sentAt: number;
  /** Of a FIFO queue. */
  readonly messageGroupId: string | null;
  /** Of a FIFO queue. */
  readonly sequenceNumber: string | null;
  /** Bytes in base64. */
  readonly messageAttributes: Readonly<Record<string, string>>;
}

/** What deletes a message. */
export type Receipt = Pick<Received, "messageId" | "receiptHandle">;

/** Entries of one request at most. */
export const ENTRIES = 10;
/** Requests at once. */
export const REQUESTS_AT_ONCE = 8;
/** Codes for a receipt after whose time a FIFO queue hands the message out again; some standard queues, too. */
const TOO_OLD = /ReceiptHandleIsInvalid|InvalidParameterValue/;
const ATTEMPTS = 5;
const FIRST_RETRY_MILLISECONDS = 200;

/** The requests to one queue. */
export class Queue {
  readonly #options: ParsedOptions;
  readonly #runtime: Runtime;
  #client: SQSClient | undefined;

  /** `client` is made when it is needed first. */
  constructor(options: ParsedOptions, runtime: Runtime, client?: SQSClient) {
    this.#options = options;
    this.#runtime = runtime;
    this.#client = client;
  }

  /** At most 10 messages; none where the queue was empty for all of the time that it is waited for. */
  async receive(max: number): Promise<Received[]> {
    const { waitTimeSeconds, visibilityTimeoutSeconds } = this.#options;
    const { Messages = [] } = await this.#calling("ReceiveMessage", (client, QueueUrl) =>
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

  /** Deletes messages. One whose receipt is too old stays, and will be delivered again. Error: `SQS_FAILED`. */
  async delete(receipts: readonly Receipt[]): Promise<void> {
    await this.#inBatches(receipts, async (batch) => {
      let left = batch;
      for (let attempt = 0; ; attempt++) {
        const { Failed = [] } = await this.#calling("DeleteMessageBatch", (client, QueueUrl) =>
          client.send(new DeleteMessageBatchCommand({ QueueUrl, Entries: left.map(toEntry) })),
        );
        const failed = Failed.filter(({ Code = "" }) => !TOO_OLD.test(Code));
        if (failed.length === 0) return;
        if (attempt === ATTEMPTS) throw this.#failed("DeleteMessageBatch", `${failed[0]?.Code}`, true);
        left = failed.flatMap(({ Id }) => left[Number(Id)] ?? []);
        await this.#runtime.sleep(FIRST_RETRY_MILLISECONDS * 2 ** attempt);
      }
    });
  }

  /** Shows messages to others again, at once. */
  async giveBack(receipts: readonly Receipt[]): Promise<void> {
    await this.#inBatches(receipts, async (batch) => {
      const Entries = batch.map((receipt, i) => ({ ...toEntry(receipt, i), VisibilityTimeout: 0 }));
      await this.#calling("ChangeMessageVisibilityBatch", (client, QueueUrl) =>
        client.send(new ChangeMessageVisibilityBatchCommand({ QueueUrl, Entries })),
      );
    });
  }

  /** Whether messages that are received again and again go to another queue. */
  async hasDeadLetterQueue(): Promise<boolean> {
    const { Attributes } = await this.#calling("GetQueueAttributes", (client, QueueUrl) =>
      client.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["RedrivePolicy"] })),
    );
    return Attributes?.RedrivePolicy !== undefined;
  }

  close(): void {
    this.#client?.destroy();
  }

  async #inBatches(
    receipts: readonly Receipt[],
    body: (batch: readonly Receipt[]) => Promise<void>,
  ): Promise<void> {
    const length = Math.ceil(receipts.length / ENTRIES);
    const batches = Array.from({ length }, (_, i) => receipts.slice(i * ENTRIES, (i + 1) * ENTRIES));
    await atOnce(REQUESTS_AT_ONCE, batches, body);
  }

  async #calling<T>(call: string, body: (client: SQSClient, queueUrl: string) => Promise<T>): Promise<T> {
    const { queueUrl, endpoint, region = regionOf(queueUrl) } = this.#options;
    this.#client ??= new SQSClient({
      maxAttempts: ATTEMPTS,
      ...(region === undefined ? {} : { region }),
      // Else requests go where the queue's URL says.
      ...(endpoint === undefined ? {} : { endpoint, useQueueUrlAsEndpoint: false }),
    });
    try {
      return await body(this.#client, queueUrl);
    } catch (error) {
      const { name, message } = error as Error;
      throw this.#failed(call, `${name}: ${message}`, isTransient(error), error);
    }
  }

  #failed(call: string, problem: string, retryable: boolean, cause?: unknown): MillraceError {
    const { queueUrl } = this.#options;
    return new MillraceError("SQS_FAILED", `${call} of ${queueUrl} failed: ${problem}`, {
      where: { url: queueUrl },
      retryable,
      hint: "Check the queue's URL, region and credentials, and what they may do: docs/sqs.md has the rights.",
      ...(cause === undefined ? {} : { cause }),
    });
  }
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
