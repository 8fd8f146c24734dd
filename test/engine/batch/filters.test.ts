import { describe, expect, it } from "vitest";
import { EqualTo, GreaterThan, LessThan } from "../../../shared/contract/filters.ts";
import { Desk } from "./desk.ts";

describe("filters", () => {
  const above = new GreaterThan("id", 1);
  const below = new LessThan("id", 3);

  it("Filters are pushed once to the planning reader, before partitions, and once to that of each task", async () => {
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

  it("Filters that the source takes over are not checked again", async () => {
    const desk = new Desk({ filters: [above, below], keeps: (filter) => filter === above, heeds: false });
    await (await desk.run("a")).batch();
    expect(desk.ids).toEqual([0, 1, 2]);
  });

  it("Filters that the source leaves are applied by the engine, and unknown results do not pass", async () => {
    const desk = new Desk({
      filters: [above],
      slices: [{ from: 0, to: 5 }],
      row: (id) => ({ id: id === 3 ? null : id }),
    });
    await (await desk.run("a")).batch();
    expect(desk.ids).toEqual([2, 4]);
    expect((await desk.world.ledger.batch("numbers", 0))?.progress).toMatchObject({ rows: 2 });
  });

  it("A pipeline without filters pushes none", async () => {
    const desk = new Desk();
    await (await desk.run("a")).batch();
    expect(desk.names).not.toContain("pushFilters");
  });

  it("A replay applies the pipeline's filters to the recorded partitions", async () => {
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

  it("Filters that do not fit are refused before the source is asked, and leave the pipeline free", async () => {
    const desk = new Desk({ filters: [new EqualTo("ids", 1)] });
    await expect((await desk.run("a")).batch()).rejects.toMatchObject({
      code: "FILTER_INVALID",
      message: 'EqualTo names the column "ids", which is not there (did you mean id?)',
      where: { pipeline: "numbers" },
    });
    expect(desk.names).toEqual(["schema"]);
    expect(await desk.world.ledger.head("numbers")).not.toHaveProperty("lease");
  });

  it("A pushFilters that throws is an error of the source, and a task tries it again", async () => {
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
