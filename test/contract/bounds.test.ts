import { describe, expect, it } from "vitest";
import { Events } from "../../shared/connectors/events/index.ts";
import { backfillName, liveName, repetitionOf } from "../../shared/contract/backfill.ts";
import { asBackfill } from "../../shared/contract/backfill-pipeline.ts";
import { lengthOfChunk, nextBound, parseBound } from "../../shared/contract/bounds.ts";
import { pipeline } from "../../shared/contract/pipeline.ts";

const DAY = "2026-01-01T00:00:00.000Z";

describe("the bounds of a range", () => {
  it.each([
    ["2026-01-01", DAY],
    ["2026-01-01T00:00", DAY],
    ["2026-01-01 00:00:00Z", DAY],
    ["2026-01-01T01:00:00+01:00", DAY],
    ["2026-01-01T06:30:00.000001Z", "2026-01-01T06:30:00.000001Z"],
    ["007", "7"],
    ["-12", "-12"],
    ["123456789012345678901234567890", "123456789012345678901234567890"],
  ])("The bound %s is %s", (text, bound) => {
    expect(parseBound(text, "--from")).toBe(bound);
  });

  it.each(["", "tomorrow", "2026-02-30", "2026-1-1", "1.5", "2026-01-01T00:00:00.0000001Z", "1e3"])(
    "The text %j is no bound",
    (text) => {
      expect(() => parseBound(text, "--from")).toThrow(
        expect.objectContaining({ code: "BACKFILL_RANGE_INVALID" }),
      );
    },
  );

  it("A chunk ends one length later, and the last one at the end of the range", () => {
    expect(nextBound(DAY, "1d", "2026-01-02T12:00:00.000Z")).toBe("2026-01-02T00:00:00.000Z");
    expect(nextBound("2026-01-02T00:00:00.000Z", "1d", "2026-01-02T12:00:00.000Z")).toBe(
      "2026-01-02T12:00:00.000Z",
    );
    expect(nextBound("-5", "10", "100")).toBe("5");
    expect(() => lengthOfChunk("0", "number")).toThrow();
    expect(() => lengthOfChunk("1d", "number")).toThrow();
    expect(() => lengthOfChunk("5", "time")).toThrow();
  });
});

describe("the name of a backfill", () => {
  it.each([
    [DAY, "2026-02-10T00:00:00.000Z", 1, "my_orders@2026-01-01_2026-02-10"],
    [
      "2026-01-01T06:30:00.000Z",
      "2026-01-01T06:30:00.000001Z",
      2,
      "my_orders@2026-01-01T063000Z_2026-01-01T063000-000001Z_2",
    ],
    ["-5", "10", 12, "my_orders@-5_10_12"],
  ])("The range from %s to %s, the %i. time, is %s", (from, to, repetition, name) => {
    expect(backfillName("my_orders", { from, to }, repetition)).toBe(name);
    expect(liveName(name)).toBe("my_orders");
    expect(repetitionOf(name)).toBe(repetition);
  });

  it("A backfill has the settings of its pipeline, which stays as it is, and ends at its range", () => {
    const live = pipeline("orders")
      .readStream.format(Events)
      .options({ start: DAY })
      .writeStream.format(Events as never)
      .pauseAfterAborts(3)
      .trigger({ processingTime: "1 minute" });
    const range = { from: "1", to: "2", chunk: "1" };
    const made = asBackfill(live, "orders@1_2", range);
    expect(made).toMatchObject({
      name: "orders@1_2",
      source: live.source,
      pausesAfter: 3,
      triggered: { availableNow: true },
      backfill: { pipeline: "orders", range },
    });
    expect(live).toMatchObject({ name: "orders", triggered: { processingTime: "1 minute" } });
    expect(live.backfill).toBeUndefined();
  });
});
