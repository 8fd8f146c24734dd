import { GetQueueAttributesCommand } from "@aws-sdk/client-sqs";
import { describe, expect, it } from "vitest";
import { runtime as realRuntime } from "../../../local/home.ts";
import { withStores } from "../../support/runtime.ts";
import { client, counts, json, newQueue, readerOf, rowsIn, sendBodies, sorted } from "./queues.ts";

describe("sqs, json", () => {
  const given = { format: "json" as const, schema: "id bigint NOT NULL, tags array<string>" };

  it("The sqs source makes rows of JSON bodies, with all digits", async () => {
    const queueUrl = await newQueue();
    await sendBodies(queueUrl, '{"id": 9007199254740993, "tags": ["a"], "more": 1}');
    const around = withStores(realRuntime);
    const reader = await readerOf(queueUrl, { ...given, around });
    const start = reader.initialOffset();
    const end = await reader.latestOffset(start);
    expect(await rowsIn(start, end, queueUrl, { ...given, around })).toEqual([
      { id: "9007199254740993", tags: ["a"] },
    ]);
  });

  it.each([
    ["no JSON", "{", "RECORD_NOT_JSON"],
    ["no object", "[1]", "RECORD_NOT_JSON"],
    ["no row of the schema", '{"id": "seven"}', "ROW_MISMATCH"],
  ])(
    "The sqs source fails at a message that is %s, and returns the others to the queue",
    async (_what, body, code) => {
      const queueUrl = await newQueue();
      await sendBodies(queueUrl, '{"id": 1}', body, '{"id": 2}');
      const reader = await readerOf(queueUrl, given);
      await expect(reader.latestOffset(reader.initialOffset())).rejects.toMatchObject({
        code,
        message: expect.stringMatching(/^message [0-9a-f-]{36} is no row: /),
        hint: expect.stringContaining("dead-letter queue"),
      });
      expect(await counts(queueUrl)).toEqual({ visible: 3, hidden: 0 });
    },
  );

  it("The sqs source leaves a wrong message for the dead-letter queue, if there is one", async () => {
    const deadLetters = await newQueue();
    const { Attributes = {} } = await client.send(
      new GetQueueAttributesCommand({ QueueUrl: deadLetters, AttributeNames: ["QueueArn"] }),
    );
    const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: Attributes.QueueArn, maxReceiveCount: 2 });
    const queueUrl = await newQueue({ attributes: { RedrivePolicy } });
    await sendBodies(queueUrl, '{"id": 1}', "{", '{"id": "seven"}', '{"id": 2}');
    const around = withStores(realRuntime);
    const reader = await readerOf(queueUrl, { ...given, around, visibilityTimeoutSeconds: 1 });
    const start = reader.initialOffset();
    const end = json(await reader.latestOffset(start));
    const rows = await rowsIn(start, end, queueUrl, { ...given, around });
    expect(sorted(rows.map(({ id }) => Number(id)))).toEqual([1, 2]);
    await reader.commit(end);
    for (let i = 0; i < 3; i++) {
      await realRuntime.sleep(1200);
      expect(await reader.latestOffset(end)).toBe(end);
    }
    expect(await counts(queueUrl)).toEqual({ visible: 0, hidden: 0 });
    expect(await counts(deadLetters)).toEqual({ visible: 2, hidden: 0 });
  });
});
