import { describe, expect, it } from "vitest";
import type { SaveMode } from "../../../shared/contract/batch-writer.ts";
import { pipeline } from "../../../shared/contract/pipeline.ts";
import { Bare, Desk } from "./desk.ts";

describe("a save mode", () => {
  it("The mode errorifexists writes a new target and fails for an existing one before any row is read", async () => {
    const desk = new Desk({ mode: "errorifexists" });
    await (await desk.run("a")).batch();
    expect(desk.ids).toEqual([0, 1, 2, 3]);
    desk.script.calls.length = 0;
    await expect((await desk.run("a")).batch()).rejects.toMatchObject({
      code: "TARGET_EXISTS",
      message: 'the target of "Table" is there already',
      where: { pipeline: "numbers" },
    });
    expect(desk.names).toEqual(["schema", "writer", "exists"]);
    expect(await desk.world.ledger.head("numbers")).not.toHaveProperty("lease");
    expect(await desk.world.ledger.batches("numbers", { limit: 9 })).toHaveLength(1);
  });

  it("The mode ignore writes a new target and does nothing for an existing one", async () => {
    const desk = new Desk({ mode: "ignore" });
    await (await desk.run("a")).batch();
    desk.script.calls.length = 0;
    const next = await desk.run("a");
    expect((await next.plan()).kind).toBe("idle");
    expect(desk.names).toEqual(["schema", "writer", "exists"]);
    expect(desk.ids).toEqual([0, 1, 2, 3]);
  });

  it.each(["errorifexists", "ignore"] as const)(
    "The mode %s needs a sink that can tell whether its target exists",
    async (mode) => {
      const desk = new Desk({ mode, isThere: undefined });
      await expect((await desk.run("a")).batch()).rejects.toMatchObject({
        code: "SAVE_MODE_NOT_SUPPORTED",
        message: `the data source "Table" cannot be written in the mode "${mode}"`,
        hint: expect.stringContaining("append"),
      });
      expect(desk.names).not.toContain("partitions");
    },
  );

  it.each(["append", "overwrite"] as const)(
    "The mode %s does not ask the sink whether its target exists",
    async (mode) => {
      const desk = new Desk({ mode, isThere: true });
      await (await desk.run("a")).batch();
      expect(desk.names).not.toContain("exists");
    },
  );

  it("A failing answer of the sink about its target is an error of the sink", async () => {
    const desk = new Desk({ mode: "ignore" });
    desk.script.fault = (call) => {
      if (call === "exists") throw new Error("no answer");
    };
    await expect((await desk.run("a")).batch()).rejects.toMatchObject({
      code: "SINK_FAILED",
      message: "exists() failed: Error",
    });
  });

  it("A save mode is one of four, in any case, with Spark's other names for the default", () => {
    const definition = pipeline("numbers").read.format(Bare).write.format(Bare);
    expect(definition.saveMode).toBe("errorifexists");
    const modeOf = (mode: string) => definition.mode(mode as SaveMode).saveMode;
    expect(["APPEND", "Overwrite", "error", "default", "ErrorIfExists", "Ignore"].map(modeOf)).toEqual([
      ...["append", "overwrite", "errorifexists", "errorifexists", "errorifexists", "ignore"],
    ]);
    expect(() => modeOf("upsert")).toThrow(expect.objectContaining({ code: "SAVE_MODE_INVALID" }));
  });
});
