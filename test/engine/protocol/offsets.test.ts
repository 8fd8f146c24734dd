import { describe, expect, it } from "vitest";
import { EngineWorld, scripted } from "../../support/engine.ts";

describe("answers of a source", () => {
  it.each([
    ["undefined", undefined],
    ["an integer", 5],
    ["an instance of Date", new Date()],
    ["$.at: an instance of Date", { at: new Date() }],
    ["$.n: a bigint", { n: 1n }],
    ["$.n: NaN", { n: Number.NaN }],
  ])("An offset that is no JSON object (%s) is refused", async (found, offset) => {
    const { pipeline } = scripted();
    const world = new EngineWorld();
    const { sessions } = await world.run(pipeline, "a");
    const planner = await sessions.source.planner();
    Object.assign(planner.reader, { latestOffset: () => offset });
    await expect(planner.latestOffset({ n: 0 }, { kind: "ReadAllAvailable" })).rejects.toMatchObject({
      code: "OFFSET_NOT_JSON",
      message: expect.stringContaining(found) as string,
    });
  });

  it("An end before its start is refused if the source can compare offsets", async () => {
    const { pipeline } = scripted();
    const { sessions } = await new EngineWorld().run(pipeline, "a");
    const planner = await sessions.source.planner();
    Object.assign(planner.reader, {
      latestOffset: () => ({ n: 3 }),
      compareOffsets: (a: { n: number }, b: { n: number }) => a.n - b.n,
    });
    await expect(planner.latestOffset({ n: 8 }, { kind: "ReadAllAvailable" })).rejects.toMatchObject({
      code: "OFFSET_WENT_BACK",
      message: 'latestOffset() gave {"n":3}, which is before the start {"n":8}',
    });
  });
});
