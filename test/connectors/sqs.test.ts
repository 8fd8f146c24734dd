import { SQSClient } from "@aws-sdk/client-sqs";
import { describe, expect, it } from "vitest";
import { rowsOf } from "../../shared/arrow/rows.ts";
import { Batches, type QueueOffset, stillSeen } from "../../shared/connectors/sqs/batches.ts";
import { Sqs } from "../../shared/connectors/sqs/index.ts";
import { convert, RAW_SCHEMA } from "../../shared/connectors/sqs/messages.ts";
import { Queue, type Received } from "../../shared/connectors/sqs/queue.ts";
import { SqsReader } from "../../shared/connectors/sqs/stream-reader.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";
import { parseOptions } from "../../shared/contract/options/parse.ts";
import { MemoryStore, memoryObjects } from "../../shared/platform/memory/memory-store.ts";
import { failure, type Reply, runtimeAt, serve } from "../support/api-server.ts";
import { EngineWorld } from "../support/engine.ts";
import { withStores } from "../support/runtime.ts";

const queueUrl = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders";
const message = (messageId: string, body: string): Received => ({
  messageId,
  receiptHandle: `receipt of ${messageId}`,
  body,
  sentAt: Date.UTC(2026, 10, 21),
  messageGroupId: null,
  sequenceNumber: null,
  messageAttributes: {},
});
const keysOf = async (store: MemoryStore) => (await Array.fromAsync(store.list(""))).map(({ key }) => key);

describe("the options of sqs", () => {
  it.each([
    [{}, /queueUrl/],
    [{ queueUrl: "orders" }, /queueUrl/],
    [{ queueUrl, schema: "id int" }, /schema: is only for the format json/],
    [{ queueUrl, waitTimeSeconds: 21 }, /waitTimeSeconds/],
    [{ queueUrl, maxMessage: 5 }, /did you mean maxMessages\?/],
  ])("The sqs source refuses the options %j", async (options, problem) => {
    await expect(parseOptions(Sqs, options)).rejects.toMatchObject({
      code: "OPTIONS_INVALID",
      message: expect.stringMatching(problem),
    });
  });

  it("The options of sqs decide the columns: raw ones or those of the schema", async () => {
    const runtime = withStores(new EngineWorld().ports().runtime);
    const schemaOf = async (options: object) =>
      new Sqs(await parseOptions(Sqs, { queueUrl, ...options }), runtime).schema();
    expect(parseDdl(await schemaOf({})).fields.map(({ name }) => name)).toEqual([
      "messageId",
      "body",
      "sentTimestamp",
      "messageGroupId",
      "sequenceNumber",
      "messageAttributes",
    ]);
    expect(await schemaOf({ format: "json", schema: "id bigint" })).toBe("id bigint");
    await expect(schemaOf({ format: "json" })).rejects.toMatchObject({ code: "SCHEMA_REQUIRED" });
  });
});

describe("messages of sqs", () => {
  it("Messages of sqs become rows, and messages that cannot become rows are returned separately", async () => {
    const bodies = ['{"id": 1}', "{", '{"id": "x"}', '{"id": 2}', '{"id": null}', '{"id": 3}'];
    const messages = bodies.map((body, i) => message(`m${i}`, body));
    const { batches, fitting, misfits } = await convert(parseDdl("id int NOT NULL"), "json", messages);
    expect(batches.flatMap((batch) => [...rowsOf(batch)])).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
    expect(fitting.map(({ messageId }) => messageId)).toEqual(["m0", "m3", "m5"]);
    expect(misfits.map(({ message: { messageId }, error }) => [messageId, error.code])).toEqual([
      ["m1", "RECORD_NOT_JSON"],
      ["m2", "ROW_MISMATCH"],
      ["m4", "ROW_MISMATCH"],
    ]);
  });

  it("Messages with a misspelled column are returned separately, while messages that lack a column become rows", async () => {
    const messages = ['{"userId": 1}', "{}"].map((body, i) => message(`m${i}`, body));
    const { fitting, misfits } = await convert(parseDdl("user_id int"), "json", messages);
    expect(fitting.map(({ messageId }) => messageId)).toEqual(["m1"]);
    expect(misfits[0]?.error).toMatchObject({
      code: "COLUMN_MISNAMED",
      message: 'message m0: column "user_id" is not there, but "userId" is',
      hint: 'Call it "userId" in the schema.',
    });
  });
});

describe("batches of sqs in the store", () => {
  it("Files of sqs in the store are removed up to the committed batch, whatever was planned since", async () => {
    const store = new MemoryStore(memoryObjects(() => 0));
    const batches = new Batches(store);
    const offsets = [
      { batch: 1, id: "x", files: 1 },
      { batch: 2, id: "never-recorded", files: 1 },
      { batch: 2, id: "x", files: 1 },
      { batch: 3, id: "x", files: 1 },
    ] as const;
    for (const offset of offsets) {
      await batches.putFile(offset, 0, Uint8Array.of(1));
      await batches.putRecord(offset, [message("m", "")], []);
    }
    await batches.clearUp(offsets[2]);
    const left = [
      "sqs/000000000002-x/batch.json",
      "sqs/000000000003-x/000000.arrow",
      "sqs/000000000003-x/batch.json",
    ];
    expect(await keysOf(store)).toEqual(left);
    // The call of a run after another run has taken over the pipeline must change nothing.
    await batches.clearUp(offsets[0]);
    expect(await keysOf(store)).toEqual(left);
    expect(await batches.receipts(offsets[0])).toEqual([]);
  });

  it("Batches of sqs know a message for the window, which begins with the next batch", () => {
    const own = { messageIds: ["new"] };
    const older = { messageIds: ["old"], until: 1000 };
    expect(stillSeen([own, older], 900, 500)).toEqual([{ messageIds: ["new"], until: 1400 }, older]);
    expect(stillSeen([own, older], 1000, 500)).toEqual([{ messageIds: ["new"], until: 1500 }]);
    expect(stillSeen([own], 900, 0)).toEqual([]);
  });

  it("The error of a batch of sqs names the file that is missing", async () => {
    const batches = new Batches(new MemoryStore(memoryObjects(() => 0)));
    const [file] = batches.files({ batch: 7, id: "x", files: 1 });
    await expect(batches.readFile(file ?? { key: "" })).rejects.toMatchObject({
      code: "PARTITIONS_MISSING",
      where: { path: expect.stringContaining("sqs/000000000007-x/000000.arrow") },
    });
  });

  it("The error of a batch of sqs names the file that is damaged, and how to give the batch up", async () => {
    const batches = new Batches(new MemoryStore(memoryObjects(() => 0)));
    const offset = { batch: 7, id: "x", files: 1 };
    await batches.putFile(offset, 0, Buffer.from("ARROW1, but no more"));
    const [file = { key: "" }] = batches.files(offset);
    await expect(Array.fromAsync(batches.recordBatches(file))).rejects.toMatchObject({
      code: "PARTITIONS_MISSING",
      message: expect.stringMatching(/sqs\/000000000007-x\/000000\.arrow is damaged: ./),
      where: { path: expect.stringContaining("sqs/000000000007-x/000000.arrow") },
      hint: expect.stringContaining("`millrace skip PIPELINE --discard`"),
    });
  });
});

describe("a queue", () => {
  /** Returns a queue on a server that sends these replies. */
  async function queueOn(...replies: readonly Reply[]) {
    const api = await serve((_asked, count) => replies[Math.min(count, replies.length) - 1]);
    const runtime = runtimeAt(0);
    const client = new SQSClient({
      endpoint: api.url,
      region: "eu-west-1",
      credentials: { accessKeyId: "test", secretAccessKey: "test" },
      useQueueUrlAsEndpoint: false,
      maxAttempts: 1,
    });
    const queue = new Queue(await parseOptions(Sqs, { queueUrl }), runtime, client);
    const asked = () =>
      api.asked.map(({ headers, body }) => {
        const { Entries = [] } = JSON.parse(body) as { Entries?: { ReceiptHandle: string }[] };
        const handles = Entries.map(({ ReceiptHandle }) => ReceiptHandle.slice("receipt of ".length));
        return [String(headers["x-amz-target"]).slice("AmazonSQS.".length), ...handles];
      });
    return { queue, runtime, asked };
  }
  const busy: Reply = { status: 503, json: { __type: "ServiceUnavailable" } };
  const failed = (...entries: [id: number, code: string][]): Reply => ({
    json: { Successful: [], Failed: entries.map(([id, Code]) => ({ Id: String(id), Code })) },
  });

  /** Receives a batch from a queue that was made at this second, and has one message. */
  async function received(start: QueueOffset, CreatedTimestamp: string | undefined) {
    const Messages = [
      {
        MessageId: "m1",
        ReceiptHandle: "receipt of m1",
        Body: "{}",
        MD5OfBody: "99914b932bd37a50b983c5e7c90ae93b",
        Attributes: { SentTimestamp: "0" },
      },
    ];
    const { queue, runtime, asked } = await queueOn(
      { json: { Messages } },
      { json: { Attributes: { CreatedTimestamp } } },
      { json: {} },
    );
    const reader = new SqsReader({
      schema: parseDdl(RAW_SCHEMA),
      options: await parseOptions(Sqs, { queueUrl }),
      runtime,
      queue,
      batches: new Batches(new MemoryStore(memoryObjects(() => 0))),
    });
    return { end: reader.latestOffset(start), asked };
  }

  it("The offset of a queue tells when the queue was made, and the same queue is read on", async () => {
    for (const start of [{ batch: 0 }, { batch: 4, id: "x" }, { batch: 4, id: "x", created: "1760000000" }]) {
      const { end } = await received(start, "1760000000");
      expect(await end).toMatchObject({ batch: start.batch + 1, files: 1, created: "1760000000" });
    }
    expect(await (await received({ batch: 4, id: "x", created: "1760000000" }, undefined)).end).toMatchObject(
      { batch: 5 },
    );
  });

  it("A queue that was made anew is refused, and gets its messages back", async () => {
    const { end, asked } = await received({ batch: 4, id: "x", created: "1760000000" }, "1770000000");
    expect(await failure(() => end)).toMatchObject({
      code: "SQS_QUEUE_REPLACED",
      message: `the queue ${queueUrl} was made at 2026-02-02T02:40:00.000Z, and is not the one that was read, of 2025-10-09T08:53:20.000Z: messages that the old one had are lost`,
      hint: expect.stringContaining("`millrace rewind PIPELINE --to-start`") as string,
    });
    expect(asked().map(([call]) => call)).toEqual([
      "ReceiveMessage",
      "GetQueueAttributes",
      "ChangeMessageVisibilityBatch",
    ]);
  });

  it("A queue that is busy is asked again, with growing waits", async () => {
    const { queue, runtime, asked } = await queueOn(busy, busy, { json: {} });
    expect(await queue.receive(10)).toEqual([]);
    expect(asked()).toEqual([["ReceiveMessage"], ["ReceiveMessage"], ["ReceiveMessage"]]);
    expect(runtime.sleeps).toEqual([200, 400]);
  });

  it("A queue is asked again only for the deletes that failed", async () => {
    const { queue, runtime, asked } = await queueOn(
      failed([1, "InternalError"], [2, "ReceiptHandleIsInvalid"], [3, "InternalError"]),
      failed([1, "InternalError"]),
      { json: { Successful: [] } },
    );
    await queue.delete(["a", "b", "c", "d"].map((id) => message(id, "")));
    expect(asked()).toEqual([
      ["DeleteMessageBatch", "a", "b", "c", "d"],
      ["DeleteMessageBatch", "b", "d"],
      ["DeleteMessageBatch", "d"],
    ]);
    expect(runtime.sleeps).toEqual([200, 400]);
  });

  it("A queue that can never delete fails the commit, so that the commit is tried again", async () => {
    const { queue, runtime } = await queueOn(failed([0, "InternalError"]));
    expect(await failure(() => queue.delete([message("a", "")]))).toMatchObject({
      code: "SQS_FAILED",
      message: `DeleteMessageBatch of ${queueUrl} failed: InternalError`,
      retryable: true,
      where: { url: queueUrl },
    });
    expect(runtime.sleeps).toEqual([200, 400, 800, 1600, 3200]);
  });

  it("A queue that refuses a request is asked once", async () => {
    const refused = { status: 403, json: { __type: "com.amazonaws.sqs#AccessDenied", message: "not you" } };
    const { queue, runtime } = await queueOn(refused);
    expect(await failure(() => queue.describe())).toMatchObject({
      code: "SQS_FAILED",
      message: `GetQueueAttributes of ${queueUrl} failed: AccessDenied: not you`,
      retryable: false,
    });
    expect(runtime.sleeps).toEqual([]);
  });
});
