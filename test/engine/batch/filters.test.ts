import { describe, expect, it } from "vitest";
import { EqualTo, GreaterThan, LessThan } from "../../../shared/contract/filters.ts";
import { Desk } from "./desk.ts";

describe("filters", () => {
  const above = new GreaterThan("id", 1);
  const below = new LessThan("id", 3);

  it("are pushed once to the reader that plans, before its partitions, and once to that of each task, before it reads", async () => {
    const desk = new Desk({ filters: [above, below], keeps: (filter) => filter === above });
    await (await desk.run("a")).batch();
    expect(desk.names.filter((name) => !/writer|write|commit/.test(name))).toEqual([
      ...["schema", "pushFilters", "partitions"],
      ...["pushFilters", "read", "pushFilters", "read"],
    ]);
    expect(desk.args("pushFilters")).toEqual([
      [above, below],
      [above, below],
      [above, below],
    ]);
    expect(desk.args("partitions")).toEqual([[above]]);
    expect(desk.ids).toEqual([2]);
  });

  it("that the source takes over are not checked", async () => {
    const desk = new Desk({ filters: [above, below], keeps: (filter) => filter === above, heeds: false });
    await (await desk.run("a")).batch();
    expect(desk.ids).toEqual([0, 1, 2]);
  });

  it("that the source leaves are done here, where what is unknown does not pass", async () => {
    const desk = new Desk({
      filters: [above],
      slices: [{ from: 0, to: 5 }],
      row: (id) => ({ id: id === 3 ? null : id }),
    });
    await (await desk.run("a")).batch();
    expect(desk.ids).toEqual([2, 4]);
    expect((await desk.world.ledger.batch("numbers", 0))?.progress).toMatchObject({ rows: 2 });
  });

  it("are not pushed where there are none", async () => {
    const desk = new Desk();
    await (await desk.run("a")).batch();
    expect(desk.names).not.toContain("pushFilters");
  });

  it("of a replay are those of the pipeline, on the partitions that were recorded", async () => {
    const desk = new Desk({ filters: [above] });
    desk.script.fault = (call) => {
      if (call === "write") throw new Error("disk full");
    };
    await (await desk.run("a")).batch();
    desk.script.fault = () => undefined;
    desk.script.calls.length = 0;
    await (await desk.run("a")).batch();
    expect(desk.names.filter((name) => !/schema|writer|write|commit/.test(name))).toEqual([
      ...["pushFilters", "read", "pushFilters", "read"],
    ]);
    expect(desk.ids).toEqual([2, 3]);
  });

  it("that cannot be are refused before the source is asked for anything, and leave the pipeline free", async () => {
    const desk = new Desk({ filters: [new EqualTo("ids", 1)] });
    await expect((await desk.run("a")).batch()).rejects.toMatchObject({
      code: "FILTER_INVALID",
      message: 'EqualTo names the column "ids", which is not there (did you mean id?)',
      where: { pipeline: "numbers" },
    });
    expect(desk.names).toEqual(["schema"]);
    expect(await desk.world.ledger.head("numbers")).not.toHaveProperty("lease");
  });

  it("whose push throws are an error of the source; in a task, one that is tried again", async () => {
    const desk = new Desk({ filters: [above] });
    let left = 0;
    desk.script.fault = (call) => {
      if (call === "pushFilters" && left-- === 0) throw new Error("no answer");
    };
    const run = await desk.run("a");
    const failed = { code: "SOURCE_FAILED", message: "pushFilters() failed: Error" };
    await expect(run.plan()).rejects.toMatchObject({ ...failed, retryable: false });
    left = 1;
    const planned = await run.plan();
    await expect(run.write(planned, 0)).rejects.toMatchObject({ ...failed, retryable: true });
  });
});
