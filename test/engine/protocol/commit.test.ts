import { describe, expect, it } from "vitest";
import { MillraceError } from "../../../shared/contract/errors.ts";
import type { Ledger } from "../../../shared/engine/ports/ledger.ts";
import { EngineWorld, scripted } from "../../support/engine.ts";
import { ALL, calls, names } from "./calls.ts";

/** Returns a ledger that calls `happens` before the first call of `method`. */
function before(ledger: Ledger, method: keyof Ledger, happens: () => Promise<void>): Ledger {
  let isFirst = true;
  return new Proxy(ledger, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property);
      if (typeof value !== "function") return value;
      return async (...args: unknown[]): Promise<unknown> => {
        if (property === method && isFirst) {
          isFirst = false;
          await happens();
        }
        return (value as (...a: unknown[]) => unknown).apply(target, args);
      };
    },
  });
}

describe("a commit that fails", () => {
  it("A commit that fails is followed by abort with all messages by a new writer, and by a replay", async () => {
    const { script, pipeline } = scripted();
    script.fault = (call) => {
      if (call === "commit") throw new Error("no rights");
    };
    const run = await new EngineWorld().run(pipeline, "a");
    const ended = await run.batch();
    expect(ended?.failure).toMatchObject({ code: "SINK_FAILED", cause: new Error("no rights") });
    expect(ended?.batch).toMatchObject({ state: "aborted", error: { code: "SINK_FAILED" } });
    expect(names(script).slice(-4)).toEqual(["streamWriter", "commit", "streamWriter", "abort"]);
    expect(calls(script, "abort")).toEqual([{ messages: ALL, batchId: 0, attempt: 1, commitTried: true }]);
    script.fault = () => undefined;
    expect((await run.batch())?.batch).toMatchObject({ state: "committed", batchId: 0, attempt: 2 });
  });

  it("A commit with a retryable error is tried again with growing delays before the abort", async () => {
    const { script, pipeline } = scripted();
    let failures = 3;
    script.fault = (call) => {
      if (call === "commit" && failures-- > 0)
        throw new MillraceError("TABLE_BUSY", "busy", { retryable: true });
    };
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a");
    expect((await run.batch())?.batch.state).toBe("committed");
    expect(calls(script, "commit")).toHaveLength(4);
    expect(world.slept).toEqual([150, 300, 600]);
  });

  it("A commit that fails but took effect, as the sink knows, is rolled forward", async () => {
    const { script, pipeline } = scripted({ landed: new Set([0]) });
    script.fault = (call) => {
      if (call === "commit") throw new Error("the answer was lost");
    };
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a");
    expect((await run.batch())?.batch.state).toBe("committed");
    expect(calls(script, "abort")).toEqual([]);
    expect(await world.ledger.head("numbers")).toMatchObject({ offset: { n: 8 } });
  });
});

describe("a finalizer that is delivered twice", () => {
  it("A finalizer that comes second and saw fewer tasks follows the first decision with all messages", async () => {
    const { script, pipeline } = scripted();
    const world = new EngineWorld();
    const run = await world.run(pipeline, "a");
    const planned = await run.plan();
    for (const partition of [0, 1, 2]) await run.write(planned, partition);
    // One finalizer reads the tasks and then sleeps. Meanwhile the last task ends, and the other
    // finalizer decides.
    const late = await world.run(pipeline, "a", {
      ledger: before(world.ledger, "decide", async () => {
        await run.write(planned, 3);
        await run.finalize(planned);
      }),
    });
    expect((await late.finalize(planned)).batch).toMatchObject({ state: "committed" });
    expect(calls(script, "abort")).toEqual([]);
    expect(calls(script, "commit")).toEqual([{ messages: ALL, batchId: 0, attempt: 1 }]);
  });
});

describe("an error of the user's code", () => {
  it("An error of the user's code leaves only its class in the ledger, because it may quote rows", async () => {
    const { script, pipeline } = scripted();
    script.fault = (call) => {
      if (call === "commit") JSON.parse("alice,4111-1111");
    };
    const run = await new EngineWorld().run(pipeline, "a");
    const ended = await run.batch();
    expect(ended?.batch.error?.message).toBe("commit() failed: SyntaxError");
    expect(JSON.stringify(ended?.batch)).not.toContain("alice");
    expect(String(ended?.failure?.cause)).toContain("alice");
  });
});
