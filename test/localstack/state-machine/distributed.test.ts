import { describe, expect, it } from "vitest";
import type { Deed } from "../control.ts";
import { transitions, until } from "../deployed.ts";
import {
  batchOf,
  committed,
  control,
  is,
  isRead,
  landed,
  numbers,
  ONCE,
  once,
  stopped,
  tasksOf,
  upTo,
  usePipelines,
} from "./pipelines.ts";

usePipelines();

describe("a distributed run", () => {
  it("A distributed run writes 200 partitions whose numbers its children read from a file", async () => {
    control.available = 200;
    control.perPartition = 1;
    const execution = await numbers.execute(ONCE);
    expect(execution).toMatchObject(committed(0, 200));
    expect(control.read).toEqual(upTo(200));
    expect(await landed()).toEqual(upTo(200));
    const history = await numbers.history(execution.arn);
    expect(history.map(({ type }) => type)).toContain("MapRunSucceeded");
    expect(transitions(history)).toBe(6);
  });

  it("A stopped distributed run is resumed at once and writes missing partitions by its own list", async () => {
    control.available = 16;
    control.perPartition = 1;
    const gate = control.gate();
    control.deed = async ({ call, partition = 0 }): Promise<Deed> => {
      if (call !== "read" || partition < 4) return "go on";
      await gate.opened;
      return "die";
    };
    const arn = await numbers.start(ONCE);
    await until("4 tasks are recorded", async () => (await tasksOf(numbers)).length === 4 || undefined);
    await stopped(arn, gate);

    control.calls.length = 0;
    control.deed = () => "go on";
    const execution = await numbers.execute(ONCE);
    expect(execution).toMatchObject(committed(0, 16));
    expect(control.read).toEqual(upTo(16, 4));
    expect(control.of("latestOffset")).toEqual([]);
    // The key of a list begins with the epoch of its run.
    const todo = (await numbers.keys("batches/")).filter((key) => key.includes("/todo-")).at(-1) ?? "";
    expect(JSON.parse(Buffer.from((await numbers.store.get(todo)) ?? []).toString())).toEqual(
      upTo(16, 4).map((task) => ({ task })),
    );
    expect(await landed()).toEqual(upTo(16));
  });
});

describe("a distributed batch", () => {
  it("A distributed batch is aborted with the error of the task that failed", async () => {
    control.available = 11;
    control.perPartition = 1;
    control.deed = (call) => (isRead(7)(call) ? "fail" : "go on");
    expect(await numbers.execute(ONCE)).toMatchObject({ status: "FAILED", error: "SOURCE_FAILED" });
    expect(await batchOf(numbers)).toMatchObject({
      state: "aborted",
      error: { code: "SOURCE_FAILED", where: { partition: 7, attemptNumber: 1 } },
    });
    expect(await numbers.staged()).toEqual([]);
    control.calls.length = 0;
    control.deed = () => "go on";
    expect(await numbers.execute(ONCE)).toMatchObject(committed(0, 11, 2));
    expect(control.read).toEqual(upTo(11));
    expect(await landed()).toEqual(upTo(11));
  });

  it("A distributed batch whose partitions file is gone is planned anew and committed", async () => {
    control.available = 11;
    control.perPartition = 1;
    control.deed = once("fail", is("before commit"));
    await numbers.execute(ONCE);
    const key = (await batchOf(numbers))?.partitionsKey ?? "";
    await numbers.store.delete([key]);
    expect(await numbers.execute(ONCE)).toMatchObject({ status: "SUCCEEDED" });
    expect(await batchOf(numbers)).toMatchObject({ state: "committed" });
    expect(await landed()).toEqual(upTo(11));
  });
});
