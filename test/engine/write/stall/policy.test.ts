import { describe, expect, it } from "vitest";
import { stallPolicyOf } from "../../../../shared/engine/write/watch.ts";
import { MINUTE, rowsEach, Scene } from "./scene.ts";

describe("a task that must fail on a stall", () => {
  const FAIL = { after: "2 minutes", fail: true };

  it("A task that must fail on a stall fails with what stalled and where, and may be tried again", async () => {
    const scene: Scene = new Scene({
      async *rows({ attemptNumber }) {
        for (let n = 0; n < 3; n++) yield { n };
        if (attemptNumber === 0) await new Promise(() => undefined);
      },
    });
    const first = await scene.begin(FAIL);
    await scene.clock.pass(3 * MINUTE);
    await expect(first.ended).rejects.toMatchObject({
      code: "PARTITION_STALLED",
      message:
        'the source has given nothing for 120 s, after 3 rows of the partition {"from":0,"to":9}, offsets {"n":0} to {"n":9}',
      where: { pipeline: "numbers", batchId: 0, partition: 0, attempt: 1, attemptNumber: 0 },
      retryable: true,
    });
    expect(scene.signals[0]?.aborted).toBe(true);
    expect(scene.stalled).toMatchObject([{ waitsFor: "source", fails: true }]);
    const second = await scene.begin(FAIL, 1);
    await scene.clock.pass(1000);
    expect(await second.ended).toMatchObject({ rows: 3, won: true });
  });

  it("A task abandons a sink that ignores its signal, and drops its staged rows in the end", async () => {
    const scene: Scene = new Scene({
      rows: (task) => rowsEach(() => scene, 3, 0)(task),
      async take(rows, { attemptNumber }) {
        await Array.fromAsync(rows);
        if (attemptNumber === 0) await scene.sleep(60 * MINUTE);
      },
    });
    const first = await scene.begin(FAIL);
    await scene.clock.pass(2 * MINUTE + 4000);
    const second = scene.begin(FAIL, 1);
    await scene.clock.pass(2000);
    await expect(first.ended).rejects.toMatchObject({
      code: "PARTITION_STALLED",
      message: expect.stringContaining("the sink has taken nothing for 120 s, after 3 rows") as string,
      hint: expect.stringContaining("Look whether the sink answers") as string,
    });
    expect(await (await second).ended).toMatchObject({ won: true });
    expect(scene.dropped).toEqual([]);
    await scene.clock.pass(60 * MINUTE);
    expect(scene.dropped).toEqual(["staged"]);
  });

  it("A task lets a sink end that reacts to its signal", async () => {
    const scene: Scene = new Scene({
      rows: (task) => rowsEach(() => scene, 3, 0)(task),
      async take(rows, { signal }) {
        await Array.fromAsync(rows);
        await new Promise((_, reject) =>
          signal.addEventListener("abort", () => reject(new Error("stopped"))),
        );
      },
    });
    const { ended } = await scene.begin(FAIL);
    await scene.clock.pass(2 * MINUTE + 1000);
    await expect(ended).rejects.toMatchObject({ code: "PARTITION_STALLED" });
  });
});

describe("the time of a stall", () => {
  it("The time of a stall is the run's, else the pipeline's, else five minutes, which are only reported", () => {
    expect(stallPolicyOf({})).toEqual({ after: "5 minutes", fail: false });
    const stall = { after: "10 minutes", fail: true };
    expect(stallPolicyOf({ stall })).toEqual(stall);
    expect(stallPolicyOf({ stall }, { after: "1s" })).toEqual({ after: "1s", fail: true });
    expect(stallPolicyOf({}, { fail: true })).toEqual({ after: "5 minutes", fail: true });
  });
});
