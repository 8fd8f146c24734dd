import { describe, expect, it } from "vitest";
import { Kinesis } from "../../../shared/connectors/kinesis/index.ts";
import { CollectingWorld } from "../collecting.ts";
import { newStream, put, range, sorted, split } from "./streams.ts";

const JSON_SCHEMA = "id bigint NOT NULL, key string NOT NULL";

describe("kinesis, in a pipeline", () => {
  it("A pipeline of kinesis commits each record once over crashes, aborts and a resharding", async () => {
    const stream = await newStream(2);
    await put(stream, 0, 1000);
    const options = {
      streamName: stream,
      format: "json" as const,
      schema: JSON_SCHEMA,
      maxRecordsPerShard: 250,
    };
    const world = new CollectingWorld("numbers", (start) =>
      start.readStream.format(Kinesis).options(options),
    );

    // The first run is killed after half of its writes. The next run continues with the recorded
    // ranges.
    const killed = await world.start("killed");
    const plan = await killed.plan();
    await killed.write(plan, 0);
    await split(stream);
    await put(stream, 1000, 2200);
    const next = await world.start("next");
    const resumed = await next.plan({ ended: true });
    expect(resumed).toMatchObject({ resumed: true, todo: [1] });
    await next.write(resumed, 1);
    await next.finalize(resumed);

    // A writer fails for good, so the batch is aborted. The replay has the same rows.
    world.failing = true;
    await expect(next.batch()).resolves.toMatchObject({ batch: { state: "aborted" } });
    world.failing = false;
    while ((await next.batch()) !== undefined);
    expect(sorted(world.rows().map(({ id }) => Number(id)))).toEqual(range(0, 2200));
    const last = new Map<unknown, number>();
    for (const { id, key } of world.rows().filter(({ id }) => Number(id) % 50 === 7)) {
      expect(Number(id)).toBeGreaterThan(last.get(key) ?? -1);
      last.set(key, Number(id));
    }
  });
});
