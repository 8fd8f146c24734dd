import { describe, expect, it } from "vitest";
import { ArrowTable } from "../../shared/connectors/arrow-table/index.ts";
import { DataSource } from "../../shared/contract/data-source.ts";
import { pipeline } from "../../shared/contract/pipeline.ts";
import type { DataSourceStreamReader } from "../../shared/contract/stream-reader.ts";
import { runPipeline } from "../../shared/testing/index.ts";
import { EngineWorld } from "../support/engine.ts";
import { Good, type Offset } from "./good-reader.ts";

describe("the planner", () => {
  const planned = (reader: () => DataSourceStreamReader<object, unknown>) => {
    class Source extends DataSource {
      override schema() {
        return "n int, name string";
      }
      override streamReader() {
        return reader();
      }
    }
    return runPipeline(pipeline("p").readStream.format(Source).writeStream.format(ArrowTable));
  };

  it("The planner refuses partitions that overlap or are equal before any row is read", async () => {
    const overlapping = new Good();
    overlapping.partitions = () => [
      { from: 0, to: 4 },
      { from: 3, to: 6 },
    ];
    await expect(planned(() => overlapping)).rejects.toMatchObject({ code: "PARTITIONS_OVERLAP" });
    const equal = new Good();
    equal.partitions = () => [
      { from: 0, to: 4 },
      { to: 4, from: 0 },
    ];
    await expect(planned(() => equal)).rejects.toMatchObject({
      code: "PARTITIONS_OVERLAP",
      message: 'partitions 0 and 1 are equal: {"to":4,"from":0}',
    });
  });

  it("The planner refuses an offset whose only number or time goes back, also without a comparison", async () => {
    const back = new Good();
    back.latestOffset = () => ({ n: -1 });
    await expect(planned(() => back)).rejects.toMatchObject({ code: "OFFSET_WENT_BACK" });
  });

  it("The planner warns of an end that is the unrounded time of day, in the first batch only", async () => {
    const now = Date.UTC(2026, 10, 21, 3, 4, 5, 678);
    const world = new EngineWorld();
    world.now = now;
    const endAt = (offset: () => Offset) => {
      const reader = new Good();
      reader.initialOffset = () => ({ n: now - 60_000 });
      reader.latestOffset = offset;
      reader.partitions = () => [];
      class Source extends DataSource {
        override schema() {
          return "n int";
        }
        override streamReader() {
          return reader;
        }
      }
      return pipeline("p").readStream.format(Source).writeStream.format(ArrowTable) as never;
    };
    const unrounded = await world.run(
      endAt(() => ({ n: world.now })),
      "a",
    );
    expect(await unrounded.plan()).toMatchObject({
      batch: { end: { n: now } },
      warning: { code: "OFFSET_FOLLOWS_CLOCK", hint: expect.stringContaining("settledNow") },
    });
    const rounded = await new EngineWorld().run(
      endAt(() => ({ n: Math.floor(now / 1000) * 1000 })),
      "a",
    );
    expect(await rounded.plan()).not.toHaveProperty("warning");
    const still = await new EngineWorld().run(
      endAt(() => ({ n: now })),
      "a",
    );
    expect(await still.plan()).not.toHaveProperty("warning");
  });
});
