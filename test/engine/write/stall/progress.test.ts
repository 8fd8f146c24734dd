import { describe, expect, it } from "vitest";
import { MINUTE, rowsEach, Scene } from "./scene.ts";

describe("a task that runs for long", () => {
  it("A long task reports its rows and the time of the last one to the ledger every ten seconds", async () => {
    const scene: Scene = new Scene({ rows: (task) => rowsEach(() => scene, 5, 5000)(task) });
    const startedAt = scene.clock.now;
    const { ended } = await scene.begin();
    await scene.clock.pass(9900);
    expect(await scene.told()).toEqual([]);
    await scene.clock.pass(100);
    expect(await scene.told()).toEqual([
      {
        partition: 0,
        attemptNumber: 0,
        startedAt,
        rows: expect.any(Number) as number,
        bytes: 0,
        waitsFor: "source",
        progressedAt: expect.any(Number) as number,
        reportedAt: startedAt + 10_000,
      },
    ]);
    await scene.clock.pass(10_000);
    const [running] = await scene.told();
    expect(running).toMatchObject({ reportedAt: startedAt + 20_000 });
    expect(running?.rows).toBeGreaterThanOrEqual(3);
    expect(running?.progressedAt).toBeGreaterThanOrEqual(startedAt + 15_000);
    expect(scene.running).toHaveLength(2);
    await scene.clock.pass(6000);
    expect((await ended).rows).toBe(5);
  });

  it.each([-60 * MINUTE, 60 * MINUTE])(
    "A long task reports on time and with right differences if the system clock is moved by %s ms",
    async (step) => {
      const scene: Scene = new Scene({ rows: (task) => rowsEach(() => scene, 30, 5000)(task) });
      const { ended } = await scene.begin();
      await scene.clock.pass(15_000);
      scene.clock.now += step;
      await scene.clock.pass(30_000);
      expect(scene.stalled).toEqual([]);
      expect(scene.running).toHaveLength(4);
      const last = scene.running.at(-1);
      expect(last?.reportedAt).toBe(scene.clock.now - 5000);
      expect(last && last.reportedAt - last.startedAt).toBe(40_000);
      expect(last && last.reportedAt - last.progressedAt).toBeLessThanOrEqual(6000);
      await scene.clock.pass(200_000);
      expect(await ended).toMatchObject({ rows: 30, milliseconds: 150_000 });
    },
  );

  it("A long task continues if the ledger does not take its report", async () => {
    const scene: Scene = new Scene({ rows: (task) => rowsEach(() => scene, 3, 10_000)(task) });
    const ledger = new Proxy(scene.world.ledger, {
      get(target, name) {
        if (name === "reportProgress")
          return async () => {
            throw new Error("throttled");
          };
        const value: unknown = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const { ended } = await scene.begin({}, 0, ledger);
    await scene.clock.pass(31_000);
    expect(await ended).toMatchObject({ rows: 3, won: true });
    expect(scene.running.length).toBeGreaterThan(1);
  });

  it("A task reports no progress after it was told to stop, though its sink ignores the signal", async () => {
    const scene: Scene = new Scene({
      rows: (task) => rowsEach(() => scene, 3, 0)(task),
      take: () => new Promise(() => undefined),
    });
    await scene.begin();
    await scene.clock.pass(MINUTE);
    const before = scene.running.length;
    expect(before).toBe(6);
    scene.stop();
    await scene.clock.pass(10 * MINUTE);
    expect(scene.running).toHaveLength(before);
    expect(scene.stalled).toEqual([]);
  });

  it("A task reports no progress after its end, and a short task reports none", async () => {
    const scene: Scene = new Scene({ rows: (task) => rowsEach(() => scene, 3, 1000)(task) });
    const { ended } = await scene.begin();
    await scene.clock.pass(4000);
    await ended;
    await scene.clock.pass(10 * MINUTE);
    expect(await scene.told()).toEqual([]);
    expect(scene.running).toEqual([]);
    expect(scene.stalled).toEqual([]);
  });
});
