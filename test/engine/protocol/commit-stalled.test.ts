import { describe, expect, it } from "vitest";
import type { BatchContext } from "../../../shared/contract/context.ts";
import { DataSource } from "../../../shared/contract/data-source.ts";
import { type Pipeline, pipeline } from "../../../shared/contract/pipeline.ts";
import { DataSourceStreamArrowWriter } from "../../../shared/contract/stream-writer.ts";
import { finalize } from "../../../shared/engine/finalize.ts";
import { Clock } from "../../support/clock.ts";
import { EngineWorld, scripted } from "../../support/engine.ts";
import { inMemory, MINUTE } from "../write/stall/scene.ts";

type Call = "commit" | "abort" | "hasCommitted";

/**
 * A sink of which one call takes some minutes, and calls `onCall` first. Before `hasCommitted` and
 * `abort`, its `commit` fails.
 */
function slowSink(slow: Call, clock: Clock, minutes: number, onCall: () => void): typeof DataSource {
  const wait = async (call: Call) => {
    if (call !== slow) return;
    onCall();
    await clock.runtime.sleep(minutes * MINUTE);
  };
  class Writer extends DataSourceStreamArrowWriter<null> {
    override async write(): Promise<null> {
      return null;
    }
    override async commit(_messages: readonly null[], _batchId: number, _batch: BatchContext): Promise<void> {
      await wait("commit");
      if (slow === "hasCommitted" || slow === "abort") throw new Error("refused");
    }
    override async abort(): Promise<void> {
      await wait("abort");
    }
    async hasCommitted(): Promise<boolean> {
      await wait("hasCommitted");
      return false;
    }
  }
  return class Sink extends DataSource {
    override streamWriter(): Writer {
      return new Writer();
    }
  } as typeof DataSource;
}

/** Ends a batch whose sink is slow, and returns the warnings. */
async function warningsOf(slow: Call, minutes: number, step = 0): Promise<string[]> {
  const clock = new Clock();
  const called = Promise.withResolvers<void>();
  const world = new EngineWorld();
  const source = scripted({ available: 1 }).pipeline.source;
  const definition = pipeline("numbers")
    .readStream.format(source.dataSource as never)
    .writeStream.format(slowSink(slow, clock, minutes, called.resolve) as never) as unknown as Pipeline;
  const run = await world.run(definition, "run", inMemory(clock));
  const planned = await run.plan();
  if (planned.kind !== "batch") throw new Error("there is no batch");
  for (const partition of planned.todo) await run.write(planned, partition);
  const warnings: string[] = [];
  const watching = {
    after: "5 minutes",
    onStalled: ({ code, message }: { readonly code: string; readonly message: string }) =>
      void warnings.push(`${code}: ${message}`),
  };
  const ended = finalize(run.sessions, run.ports, { run: planned.run, watching });
  await called.promise;
  await clock.pass(MINUTE);
  clock.now += step;
  await clock.pass(minutes * MINUTE);
  await ended;
  return warnings;
}

const warningAt = (call: string, seconds: number) =>
  `COMMIT_STALLED: ${call}() of the sink has not answered for ${seconds} s, at the end of batch 0 of "numbers"`;

describe("a call that ends a batch", () => {
  it.each(["commit", "abort", "hasCommitted"] as const)(
    "A %s() that takes twelve minutes is reported after five minutes and again after ten",
    async (call) => {
      expect(await warningsOf(call, 12)).toEqual([warningAt(call, 300), warningAt(call, 600)]);
    },
  );

  it("A commit() that takes four minutes is not reported", async () => {
    expect(await warningsOf("commit", 4)).toEqual([]);
  });

  it.each([-60 * MINUTE, 60 * MINUTE])(
    "A commit() is reported after the same time if the system clock is moved by %s ms",
    async (step) => {
      expect(await warningsOf("commit", 7, step)).toEqual([warningAt("commit", 300)]);
    },
  );
});
