import { afterAll, beforeAll, beforeEach, expect } from "vitest";
import type { Batch } from "../../../shared/engine/ports/ledger.ts";
import type { Task } from "../../../shared/engine/ports/tasks.ts";
import { type Call, Control } from "../control.ts";
import { type DeployedPipeline, deployed, until } from "../deployed.ts";

export let control: Control;
export let numbers: DeployedPipeline;
export let hurried: DeployedPipeline;
export let relayed: DeployedPipeline;

/** Deploys the pipelines before the tests of a file, and deletes their data before each test. */
export function usePipelines(): void {
  beforeAll(async () => {
    control = await Control.start();
    const stack = await deployed("MillraceTests");
    numbers = stack.pipeline("numbers");
    hurried = stack.pipeline("hurried");
    relayed = stack.pipeline("relayed");
  });

  afterAll(async () => {
    await control.close();
  });

  beforeEach(async () => {
    control.reset();
    for (const pipeline of [numbers, hurried, relayed]) await pipeline.forget();
  });
}

export const ONCE = { trigger: "once" };
export const upTo = (end: number, from = 0) => Array.from({ length: end - from }, (_, i) => from + i);

/**
 * Returns the numbers in the table, sorted. A number that is in the table twice is listed twice.
 */
export async function landed(pipeline: DeployedPipeline = numbers): Promise<number[]> {
  return (await pipeline.rows()).map((row) => Number(row["n"])).sort((a, b) => a - b);
}

export async function batchOf(pipeline: DeployedPipeline, batchId = 0): Promise<Batch | undefined> {
  return await pipeline.ledger.batch(pipeline.target.pipeline, batchId);
}

export async function tasksOf(pipeline: DeployedPipeline): Promise<readonly Task[]> {
  const batch = await batchOf(pipeline);
  return batch === undefined ? [] : await pipeline.ledger.tasks(batch);
}

export async function seen(what: string, isSeen: (call: Call) => boolean): Promise<void> {
  await until(what, async () => control.calls.some(isSeen) || undefined);
}

/**
 * Stops an execution and waits for its end. LocalStack ends it only after its running functions
 * have ended, so `gate` releases the functions that the test holds.
 */
export async function stopped(arn: string, gate?: { open(): void }): Promise<void> {
  await numbers.stop(arn);
  gate?.open();
  // LocalStack reports one of these two states. AWS always reports ABORTED.
  expect(["ABORTED", "FAILED"]).toContain((await numbers.ended(arn)).status);
}

/**
 * Returns a function for `control.deed` that returns `deed` for the first matching call, and `go
 * on` for all other calls.
 */
export function once<T extends string>(
  deed: T,
  isMeant: (call: Call) => boolean,
): (call: Call) => T | "go on" {
  let isDone = false;
  return (call) => {
    if (isDone || !isMeant(call)) return "go on";
    isDone = true;
    return deed;
  };
}

export const isRead = (partition: number) => (call: Call) =>
  call.call === "read" && call.partition === partition;
export const is = (name: Call["call"]) => (call: Call) => call.call === name;
export const committed = (batchId = 0, rows = 8, attempt = 1) => ({
  status: "SUCCEEDED",
  output: { next: "Done", why: "committed", batch: { batchId, attempt, state: "committed", rows } },
});
