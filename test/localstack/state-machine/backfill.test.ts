import { describe, expect, it } from "vitest";
import { millrace } from "../../support/process.ts";
import { landed, numbers, upTo, usePipelines } from "./pipelines.ts";

usePipelines();

/** The stream of this pipeline begins at 0, so every range is also its own. */
const COMMAND = ["backfill", "numbers", "--stack", "MillraceTests", "--chunk", "4", "--over-live"];

describe("a backfill of a deployed pipeline", () => {
  it("A backfill is run by the state machine under the rights of its roles, once, into the same table", async () => {
    const range = ["--from", "100", "--to", "108"];
    const first = await millrace([...COMMAND, ...range]);
    expect(first.code, first.stderr).toBe(0);
    expect(await landed()).toEqual(upTo(108, 100));
    expect(await numbers.ledger.head("numbers@100_108")).toMatchObject({
      offset: { bound: "108" },
      lastCommittedBatchId: 1,
    });

    const second = await millrace([...COMMAND, ...range]);
    expect(second.code).toBe(2);
    expect(second.stderr).toContain("BACKFILL_OVERLAPS");

    const status = await millrace(["status", "numbers@100_108", "--stack", "MillraceTests", "--json"]);
    expect(JSON.parse(status.stdout)).toMatchObject({ backfill: { done: true, pipeline: "numbers" } });
    const vacuumed = await millrace(["vacuum", "numbers@100_108", "--stack", "MillraceTests"]);
    expect(vacuumed.code, vacuumed.stderr).toBe(0);
  });
});
