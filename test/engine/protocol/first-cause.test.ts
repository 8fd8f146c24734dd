import { describe, expect, it } from "vitest";
import { MillraceError } from "../../../shared/contract/errors.ts";
import { besides } from "../../../shared/engine/first-cause.ts";
import { failure } from "../../support/api-server.ts";
import { EngineWorld, scripted } from "../../support/engine.ts";

describe("the first cause", () => {
  it("A failed abort does not hide why the commit failed, neither in the error nor in the ledger", async () => {
    const { script, pipeline } = scripted();
    script.fault = (call) => {
      if (call === "commit") throw new TypeError("no rights");
      if (call === "abort") throw new Error("abort fails as well");
    };
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a");
    const error = await failure(() => run.batch());
    expect(error).toMatchObject({
      message: "commit() failed: TypeError",
      cause: new TypeError("no rights"),
      where: { pipeline: "numbers", batchId: 0, attempt: 1 },
    });
    expect(error.also).toMatchObject([{ message: "abort() failed: Error" }]);
    const recorded = {
      state: "aborting",
      error: { message: "commit() failed: TypeError", also: [{ message: "abort() failed: Error" }] },
    };
    expect(await world.ledger.batch("numbers", 0)).toMatchObject(recorded);

    // A later call has only the record.
    const again = await failure(async () => (await world.run(pipeline, "a")).batch());
    expect(again).toMatchObject({ message: "commit() failed: TypeError" });
    expect(again.also).toMatchObject([{ message: "abort() failed: Error" }]);
    expect(again.also).toHaveLength(1);

    script.fault = () => undefined;
    expect((await (await world.run(pipeline, "a")).batch())?.batch.state).toBe("aborted");
  });

  it("A failed question whether the commit landed does not hide why the commit failed", async () => {
    const landed = new Set([0]);
    landed.has = () => {
      throw new Error("still no connection");
    };
    const { script, pipeline } = scripted({ landed });
    script.fault = (call) => {
      if (call === "commit") throw new TypeError("connection lost");
    };
    const world = new EngineWorld();
    const error = await failure(async () => (await world.run(pipeline, "a")).batch());
    const message = "hasCommitted() failed after commit() had failed: Error";
    expect(error).toMatchObject({ message: "commit() failed: TypeError", also: [{ message }] });
    expect(await world.ledger.batch("numbers", 0)).toMatchObject({
      state: "committing",
      error: { message: "commit() failed: TypeError", also: [{ message }] },
    });

    script.fault = () => undefined;
    const ended = await (await world.run(pipeline, "a")).batch();
    expect(ended?.batch.state).toBe("committed");
    expect(ended?.batch.error).toBeUndefined();
  });

  it("A run that another run has replaced reports that, and not what came before", () => {
    const first = new MillraceError("SINK_FAILED", "commit() failed");
    const fenced = new MillraceError("FENCED", "another run has the pipeline");
    expect(besides(first, fenced)).toBe(fenced);
    expect(besides(undefined, first)).toBe(first);
  });

  it("A step is tried again if its last error may pass, whatever the first cause was", () => {
    const first = new MillraceError("SINK_FAILED", "commit() failed");
    const busy = new MillraceError("LEDGER_FAILED", "the ledger failed: busy", { retryable: true });
    expect(besides(first, busy)).toMatchObject({ code: "SINK_FAILED", retryable: true });
  });
});
