import { describe, expect, it } from "vitest";
import { pipeline } from "../../../shared/contract/pipeline.ts";
import { checkTrigger, type Trigger, triggerOf } from "../../../shared/contract/trigger.ts";
import { openSessions } from "../../../shared/engine/sessions/open-sessions.ts";
import { EngineWorld } from "../../support/engine.ts";
import { Bare, Desk, plain, sinkOf, sourceOf } from "./desk.ts";

describe("a schema", () => {
  it("A schema of the pipeline replaces that of the data source, which is not asked", async () => {
    const desk = new Desk({ givenSchema: "id int NOT NULL, name string", row: (id) => [id, `n${id}`] });
    await (await desk.run("a")).batch();
    expect(desk.names).not.toContain("schema");
    expect(desk.table[0]?.rows[0]).toEqual({ id: 0, name: "n0" });
  });

  it("A schema that cannot be parsed is refused at the beginning of the run", async () => {
    const desk = new Desk({ givenSchema: "id number" });
    await expect(desk.run("a")).rejects.toMatchObject({ code: "SCHEMA_INVALID" });
  });
});

describe("a data source without the needed method", () => {
  it("A data source without the needed method is refused, and the error names the method", async () => {
    const desk = new Desk();
    const unread = plain(pipeline("numbers").read.format(Bare).write.format(sinkOf(desk)).mode("append"));
    await expect((await desk.world.run(unread, "a")).batch()).rejects.toMatchObject({
      code: "NOT_SUPPORTED",
      message: 'data source "Bare" has no reader(schema)',
    });
    const unwritten = plain(
      pipeline("numbers").read.format(sourceOf(desk)).write.format(Bare).mode("append"),
    );
    const { sessions } = await desk.world.run(unwritten, "a");
    await expect(sessions.sink.newAsked(await sessions.source.schema())).rejects.toMatchObject({
      code: "NOT_SUPPORTED",
      message: 'data source "Bare" has no writer(schema, overwrite)',
    });
  });

  it("A data source is not asked for a simple stream reader if a batch needs its reader", async () => {
    class Streamed extends Bare {
      override simpleStreamReader(): never {
        throw new Error("it is a batch");
      }
    }
    const definition = plain(pipeline("numbers").read.format(Streamed).write.format(Bare).mode("append"));
    const run = await new EngineWorld().run(definition, "a");
    await expect(run.batch()).rejects.toMatchObject({ code: "NOT_SUPPORTED" });
  });
});

describe("the trigger of a batch", () => {
  it("The trigger of a batch is once, by default and on request, and no other", () => {
    const batch = pipeline("numbers").read.format(Bare).write.format(Bare);
    expect([triggerOf(batch, undefined), triggerOf(batch, { once: true })]).toEqual([
      { once: true },
      { once: true },
    ]);
    for (const trigger of [{ availableNow: true }, { processingTime: "1 second" }] as Trigger[]) {
      expect(() => triggerOf(batch, checkTrigger(trigger))).toThrow(
        expect.objectContaining({
          code: "TRIGGER_INVALID",
          message: `pipeline "numbers" is a batch: it has no ${Object.keys(trigger).join()}`,
        }),
      );
    }
  });
});

describe("options that cannot be checked", () => {
  it("The error of options that cannot be checked hides the thrown message, which may quote them", async () => {
    const validate = (value: unknown): never => {
      throw new Error(`cannot open ${JSON.stringify(value)}`);
    };
    class Shelf extends Bare {
      static readonly optionsSchema = { "~standard": { version: 1 as const, vendor: "own", validate } };
    }
    const definition = pipeline("numbers").read.format(Bare).write.format(Shelf);
    const opening = openSessions(plain(definition), new EngineWorld().ports());
    await expect(opening).rejects.toMatchObject({
      code: "OPTIONS_INVALID",
      message: 'checking the options of "Shelf" failed: Error',
      where: { pipeline: "numbers" },
    });
  });
});
