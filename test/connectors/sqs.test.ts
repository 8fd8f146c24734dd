import { describe, expect, it } from "vitest";
import { rowsOf } from "../../shared/arrow/rows.ts";
import { Batches, stillSeen } from "../../shared/connectors/sqs/batches.ts";
import { Sqs } from "../../shared/connectors/sqs/index.ts";
import { convert } from "../../shared/connectors/sqs/messages.ts";
import type { Received } from "../../shared/connectors/sqs/queue.ts";
import { parseDdl } from "../../shared/contract/ddl/parse.ts";
import { parseOptions } from "../../shared/contract/options/parse.ts";
import { MemoryStore, memoryObjects } from "../../shared/platform/memory/memory-store.ts";
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
  ])("refuses %j", async (options, problem) => {
    await expect(parseOptions(Sqs, options)).rejects.toMatchObject({
      code: "OPTIONS_INVALID",
      message: expect.stringMatching(problem),
    });
  });

  it("tell the columns: raw ones, or those of the schema", async () => {
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
  it("become rows, and those that cannot are told apart", async () => {
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

  it("whose columns have other names are told apart, those that lack one are rows", async () => {
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
  it("are cleared up to the committed one, whatever was planned since", async () => {
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
    // A run that was overtaken.
    await batches.clearUp(offsets[0]);
    expect(await keysOf(store)).toEqual(left);
    expect(await batches.receipts(offsets[0])).toEqual([]);
  });

  it("know a message for the window, which begins with the next batch", () => {
    const own = { messageIds: ["new"] };
    const older = { messageIds: ["old"], until: 1000 };
    expect(stillSeen([own, older], 900, 500)).toEqual([{ messageIds: ["new"], until: 1400 }, older]);
    expect(stillSeen([own, older], 1000, 500)).toEqual([{ messageIds: ["new"], until: 1500 }]);
    expect(stillSeen([own], 900, 0)).toEqual([]);
  });

  it("name the file that is missing", async () => {
    const batches = new Batches(new MemoryStore(memoryObjects(() => 0)));
    const [file] = batches.files({ batch: 7, id: "x", files: 1 });
    await expect(batches.readFile(file ?? { key: "" })).rejects.toMatchObject({
      code: "PARTITIONS_MISSING",
      where: { path: expect.stringContaining("sqs/000000000007-x/000000.arrow") },
    });
  });
});
