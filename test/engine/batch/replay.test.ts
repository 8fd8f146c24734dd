import { describe, expect, it } from "vitest";
import type { Ledger } from "../../../shared/engine/ports/ledger.ts";
import { Desk } from "./desk.ts";

describe("a run that finds a batch open", () => {
  it("A run that finds an open batch replays it with its id and recorded partitions, and runs no other", async () => {
    const desk = new Desk();
    desk.script.fault = (call, args) => {
      if (call === "write" && (args as { partition: number }).partition === 1) throw new Error("disk full");
    };
    await (await desk.run("a")).batch();
    expect(desk.args("abort")).toEqual([{ messages: [[0, 1], null], batchId: 0, attempt: 1 }]);

    desk.script.fault = () => undefined;
    desk.script.slices = [{ from: 100, to: 101 }];
    desk.script.calls.length = 0;
    const replayed = await (await desk.run("a")).batch();
    expect(replayed?.batch).toMatchObject({ batchId: 0, attempt: 2, state: "committed" });
    expect(desk.names).not.toContain("partitions");
    expect(desk.ids).toEqual([0, 1, 2, 3]);
    expect(await desk.world.ledger.head("numbers")).toMatchObject({ nextBatchId: 1 });
  });

  it("A replay does not ask again whether the target exists, because it did not when the batch began", async () => {
    for (const mode of ["errorifexists", "ignore"] as const) {
      const desk = new Desk({ mode });
      desk.script.fault = (call) => {
        if (call === "write") throw new Error("disk full");
      };
      await (await desk.run("a")).batch();
      desk.script.fault = () => undefined;
      desk.script.isThere = true;
      expect((await (await desk.run("a")).batch())?.batch).toMatchObject({ batchId: 0, state: "committed" });
      expect(desk.names.filter((name) => name === "exists")).toHaveLength(1);
    }
  });

  it.each(["append", "overwrite", "errorifexists", "ignore"] as const)(
    "A replay has each row once, and one batch, wherever the run before was killed: %s",
    async (mode) => {
      let survived = false;
      for (let step = 0; !survived; step++) {
        for (const when of ["before", "after"] as const) {
          const desk = new Desk({ mode });
          const killed = await desk.run("a", { ledger: killing(desk.world.ledger, step, when) });
          survived = await killed.batch().then(
            () => true,
            () => false,
          );
          const head = await desk.world.ledger.head("numbers");
          const isOver =
            head?.lastCommittedBatchId !== undefined &&
            head.unacknowledged === undefined &&
            head.openBatchId === undefined;
          if (isOver) continue;
          desk.script.calls.length = 0;
          await resume(desk);
          const place = `killed ${when} call ${step} of the ledger`;
          expect(desk.ids, place).toEqual([0, 1, 2, 3]);
          expect(desk.table, place).toHaveLength(1);
          const batches = await desk.world.ledger.batches("numbers", { limit: 10 });
          expect(batches, place).toMatchObject([{ batchId: 0, state: "committed" }]);
        }
        expect(step).toBeLessThan(30);
      }
    },
  );

  it("A replay has each row once if the run before was killed in the sink's commit, early or late", async () => {
    for (const at of ["commit", "commit: return"]) {
      const desk = new Desk();
      const ledger = dying(desk.world.ledger);
      desk.script.fault = (call) => {
        if (call !== at) return;
        ledger.isDead = true;
        throw new Error("killed");
      };
      const killed = await desk.run("a", { ledger: ledger.ledger });
      await expect(killed.batch()).rejects.toThrow();
      desk.script.fault = () => undefined;
      await resume(desk);
      expect(desk.ids).toEqual([0, 1, 2, 3]);
      expect(await desk.world.ledger.batches("numbers", { limit: 10 })).toMatchObject([
        { state: "committed" },
      ]);
    }
  });
});

/** Runs the pipeline again when it is certain that the previous run has ended. */
async function resume(desk: Desk): Promise<void> {
  const next = await desk.run("b");
  const planned = await next.plan({ ended: true });
  if (planned.kind !== "batch") return;
  for (const partition of planned.todo) await next.write(planned, partition);
  const { batch } = await next.finalize(planned);
  if (batch.state === "aborted") await resume(desk);
}

/** Returns the ledger of a process that dies when a test sets `isDead`. */
function dying(ledger: Ledger): { readonly ledger: Ledger; isDead: boolean } {
  const state = {
    isDead: false,
    ledger: new Proxy(ledger, {
      get(target, property) {
        const value: unknown = Reflect.get(target, property);
        if (typeof value !== "function") return value;
        return async (...args: unknown[]): Promise<unknown> => {
          if (state.isDead) throw new Error("killed");
          return (value as (...a: unknown[]) => unknown).apply(target, args);
        };
      },
    }),
  };
  return state;
}

/**
 * Returns the ledger of a process that is killed before or after call number `step`, counted from
 * 0.
 */
function killing(ledger: Ledger, step: number, when: "before" | "after"): Ledger {
  const dead = dying(ledger);
  let calls = 0;
  return new Proxy(dead.ledger, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property);
      if (typeof value !== "function") return value;
      return async (...args: unknown[]): Promise<unknown> => {
        const isLast = calls++ === step;
        if (isLast && when === "before") dead.isDead = true;
        const result: unknown = await (value as (...a: unknown[]) => unknown).apply(target, args);
        if (isLast) {
          dead.isDead = true;
          throw new Error("killed");
        }
        return result;
      };
    },
  });
}
