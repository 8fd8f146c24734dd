import { setTimeout } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import { Memory, MemoryStream } from "../../../shared/connectors/memory/index.ts";
import { optional } from "../../../shared/contract/optional.ts";
import { pipeline } from "../../../shared/contract/pipeline.ts";
import type { Ledger } from "../../../shared/engine/ports/ledger.ts";
import { write } from "../../../shared/engine/write/task.ts";
import type { TaskResult, WriteOptions } from "../../../shared/engine/write/task-request.ts";
import { EngineWorld } from "../../support/engine.ts";
import { type Recording, recordingTable } from "../../support/recording-table.ts";

/** A planned batch of one task, of which attempts can be started by hand. */
async function oneTask(settings: Partial<Recording> = {}, wrap: (ledger: Ledger) => Ledger = (same) => same) {
  const { recording, dataSource } = recordingTable(settings);
  new MemoryStream("one", "id int").addData([{ id: 1 }]);
  const world = new EngineWorld();
  const source = pipeline("one").read.format(Memory).options({ stream: "one" });
  const run = await world.run(source.write.format(dataSource).mode("append") as never, "a");
  const planned = await run.plan();
  if (planned.kind !== "batch") throw new Error("there is no batch");
  const base = world.ports();
  const sleep = (_milliseconds: number, signal?: AbortSignal) =>
    setTimeout(2, undefined, optional("signal", signal));
  const ports = { ...base, ledger: wrap(base.ledger), runtime: { ...base.runtime, sleep } };
  const attempt = (attemptNumber: number, options: Partial<WriteOptions> = {}): Promise<TaskResult> => {
    const request = { run: planned.run, partition: 0, attemptNumber };
    const { signal } = new AbortController();
    return write(run.sessions, ports, request, { signal, ...options });
  };
  return { world, recording, run, planned, attempt };
}

/** A gate that the test opens for each writer. */
function gates() {
  const waits = [0, 1, 2].map(() => Promise.withResolvers<void>());
  return {
    gate: (writer: number) => waits[writer]?.promise ?? Promise.resolve(),
    open: (writer: number) => waits[writer]?.resolve(),
    fail: (writer: number) => waits[writer]?.reject(new Error("the disk is full")),
  };
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await setTimeout(1);
}

const count = (recording: Recording, call: string) => recording.calls.filter((made) => made === call).length;

describe("commit coordination", () => {
  it("A second attempt is denied while the first one commits, and returns the result of the first", async () => {
    const { gate, open } = gates();
    const { recording, attempt } = await oneTask({ gate });
    const first = attempt(0);
    await until(() => count(recording, "writer.commit 0") === 1);
    const second = attempt(1);
    await until(() => count(recording, "writer.close 0") === 1);
    expect(count(recording, "writer.commit 0")).toBe(1);
    expect(count(recording, "writer.abort 0")).toBe(1);
    open(0);
    expect(await first).toMatchObject({ won: true });
    expect(await second).toMatchObject({ won: false, rows: 1 });
    expect(count(recording, "writer.commit 0")).toBe(1);
  });

  it("The next attempt may commit after the first one has failed", async () => {
    const { gate, fail, open } = gates();
    const { recording, attempt } = await oneTask({ gate });
    const first = attempt(0);
    await until(() => count(recording, "writer.commit 0") === 1);
    fail(0);
    await expect(first).rejects.toMatchObject({ code: "SINK_FAILED" });
    open(1);
    expect(await attempt(1)).toMatchObject({ won: true });
  });

  it("An attempt that was denied may be tried again if the other one fails after all", async () => {
    const { gate, fail } = gates();
    const { recording, attempt } = await oneTask({ gate });
    const first = attempt(0);
    await until(() => count(recording, "writer.commit 0") === 1);
    const denied = expect(attempt(1)).rejects.toMatchObject({ code: "COMMIT_DENIED", retryable: true });
    await until(() => count(recording, "writer.abort 0") === 1);
    fail(0);
    await expect(first).rejects.toMatchObject({ code: "SINK_FAILED" });
    await denied;
  });

  it("A denied attempt is aborted and closed once, also if it is told to stop while it waits", async () => {
    const { gate, open } = gates();
    const { recording, attempt } = await oneTask({ gate });
    const first = attempt(0);
    await until(() => count(recording, "writer.commit 0") === 1);
    const stopping = new AbortController();
    const second = attempt(1, { signal: stopping.signal });
    await until(() => count(recording, "writer.close 0") === 1);
    stopping.abort();
    await expect(second).rejects.toMatchObject({ code: "TASK_CANCELLED" });
    expect(count(recording, "writer.abort 0")).toBe(1);
    expect(count(recording, "writer.close 0")).toBe(1);
    open(0);
    expect(await first).toMatchObject({ won: true });
  });

  it("The next attempt may commit after the time of the first one is over", async () => {
    const { gate, open } = gates();
    const { world, recording, attempt } = await oneTask({ gate });
    const first = attempt(0, { commitDeadline: world.now + 1000 });
    await until(() => count(recording, "writer.commit 0") === 1);
    world.now += 1000;
    open(1);
    expect(await attempt(1)).toMatchObject({ won: true });
    open(0);
    expect(await first).toMatchObject({ won: false });
    expect(count(recording, "writer.commit 0")).toBe(2);
  });

  it("The claim of an attempt that was killed ends by itself, and that of one at work is renewed", async () => {
    const { gate, open } = gates();
    const { world, planned, recording, attempt } = await oneTask({ gate });
    const key = { ...planned.run, partition: 0 };
    const expiry = async () => (await world.ledger.commitClaim(key))?.expiresAt;
    const first = attempt(0, { watch: { stall: { after: "5 minutes", fail: false } } });
    await until(() => count(recording, "writer.commit 0") === 1);
    expect(await expiry()).toBe(world.now + 30_000);
    world.now += 20_000;
    await vi.waitFor(async () => expect(await expiry()).toBe(world.now + 30_000));
    open(0);
    expect(await first).toMatchObject({ won: true });
    expect(await expiry()).toBeUndefined();
  });

  it("A later run may commit although a killed run has left its claim", async () => {
    const { gate, open } = gates();
    const { recording, run, attempt } = await oneTask({ gate });
    const killed = attempt(0);
    await until(() => count(recording, "writer.commit 0") === 1);
    const resumed = await run.plan({ ended: true });
    open(1);
    expect(await run.write(resumed, 0)).toMatchObject({ won: true });
    open(0);
    expect(await killed).toMatchObject({ won: false });
  });

  it("An attempt whose answer was lost may commit if the ledger gave it the right", async () => {
    const { attempt } = await oneTask({}, (ledger) =>
      overriding(ledger, {
        authorizeCommit: async (...given) => {
          await ledger.authorizeCommit(...given);
          throw new Error("the connection was reset");
        },
      }),
    );
    expect(await attempt(0)).toMatchObject({ won: true });
  });

  it("An attempt that cannot ask does not commit, and gives back what it may have got", async () => {
    const { world, recording, planned, attempt } = await oneTask({}, (ledger) =>
      overriding(ledger, {
        authorizeCommit: async (...given) => {
          await ledger.authorizeCommit(...given);
          throw new Error("the connection was reset");
        },
        commitClaim: async () => {
          throw new Error("the connection was reset");
        },
      }),
    );
    await expect(attempt(0)).rejects.toMatchObject({ code: "TASK_FAILED" });
    expect(await world.ledger.commitClaim({ ...planned.run, partition: 0 })).toBeUndefined();
    expect(count(recording, "writer.commit 0")).toBe(0);
    expect(count(recording, "writer.abort 0")).toBe(1);
  });

  it("Without coordination both attempts commit, and the message that is recorded first counts", async () => {
    const { gate, open } = gates();
    const { recording, run, planned, attempt } = await oneTask({ gate, isCoordinated: false });
    const first = attempt(0);
    await until(() => count(recording, "writer.commit 0") === 1);
    open(1);
    expect(await attempt(1)).toMatchObject({ won: true });
    open(0);
    expect(await first).toMatchObject({ won: false });
    expect(count(recording, "writer.commit 0")).toBe(2);
    expect(count(recording, "writer.abort 0")).toBe(0);
    expect(await run.finalize(planned)).toMatchObject({ batch: { state: "committed" } });
    expect(count(recording, 'onDataWriterCommit {"partition":0,"rows":1}')).toBe(1);
  });
});

function overriding(ledger: Ledger, methods: Partial<Ledger>): Ledger {
  return new Proxy(ledger, {
    get: (target, name) => {
      const value: unknown = Reflect.get(methods, name) ?? Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
