import { describe, expect, it } from "vitest";
import { drain, newStream, putData } from "./streams.ts";

describe("kinesis, json", () => {
  const given = {
    format: "json" as const,
    schema: "id bigint NOT NULL, price decimal(20,2), tags array<string>",
  };

  it("The kinesis source makes rows of JSON records, with all digits", async () => {
    const stream = await newStream();
    await putData(
      stream,
      '{"id": 9007199254740993, "price": 123456789012345678.25, "tags": ["a"], "more": 1}',
      '{"id": 2}',
    );
    const { batches } = await drain(stream, given);
    expect(batches.flat(2)).toEqual([
      { id: "9007199254740993", price: "123456789012345678.25", tags: ["a"] },
      { id: 2, price: null, tags: null },
    ]);
  });

  it.each([
    ["no JSON", "{", "RECORD_NOT_JSON", /record \d+ of shardId-\d+ is not JSON/],
    ["no object", "[1]", "RECORD_NOT_JSON", /is an array of 1, not an object/],
    ["no UTF-8", Uint8Array.from([0x22, 0xff, 0x22]), "RECORD_NOT_JSON", /is not UTF-8/],
    [
      "an aggregated record",
      Uint8Array.from([0xf3, 0x89, 0x9a, 0xc2, 10, 0]),
      "KINESIS_RECORD_AGGREGATED",
      /record \d+ of shardId-\d+ holds many records/,
    ],
  ])("The kinesis source with a schema refuses %s", async (_what, data, code, message) => {
    const stream = await newStream();
    await putData(stream, data);
    await expect(drain(stream, given)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
    expect((await drain(stream)).batches.flat(2)).toHaveLength(1);
  });
});
