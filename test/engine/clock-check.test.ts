import { describe, expect, it } from "vitest";
import { findClockOffset } from "../../shared/engine/clock-check.ts";

const NOW = Date.UTC(2026, 10, 21, 9, 30) + 123;

describe("an end that follows the clock", () => {
  const found = async (end: object, later: object) =>
    await findClockOffset(
      end as never,
      NOW,
      async () => later as never,
      async () => undefined,
    );

  it.each([
    ["milliseconds", { n: NOW }, { n: NOW + 5 }],
    ["milliseconds as text", { n: String(NOW) }, { n: String(NOW + 5) }],
    ["seconds with a fraction as text", { n: String(NOW / 1000) }, { n: String((NOW + 5) / 1000) }],
    ["ISO 8601", { at: "2026-11-21T09:30:00.123Z" }, { at: "2026-11-21T09:30:00.128Z" }],
  ])("The check warns of an end that follows the clock in %s", async (_, end, later) => {
    expect(await found(end, later)).toMatchObject({ code: "OFFSET_FOLLOWS_CLOCK" });
  });

  it.each([
    ["stays", { n: String(NOW) }, { n: String(NOW) }],
    ["is another number", { n: "42" }, { n: "43" }],
    ["is rounded", { n: String(NOW - 123) }, { n: String(NOW + 877) }],
    ["is rounded to the second", { at: new Date(NOW).toUTCString() }, { at: "later" }],
  ])("The check does not warn of an end that %s", async (_, end, later) => {
    expect(await found(end, later)).toBeUndefined();
  });
});
