import { MillraceError } from "../../shared/contract/errors.ts";
import type { Offset } from "../../shared/contract/offset.ts";
import { adopt, previewAdoption } from "../../shared/engine/adopt.ts";
import type { Batch } from "../../shared/engine/ports/ledger.ts";
import { rewind } from "../../shared/engine/rewind.ts";
import { previewSkip, skip } from "../../shared/engine/skip.ts";
import { vacuum } from "../../shared/engine/vacuum.ts";
import { Run } from "./run.ts";
import { allRows, isBatchPipeline, offsetAt, positionOf, rowsBetween } from "./setup.ts";
import type { Surroundings } from "./surroundings.ts";
import type { World } from "./world.ts";

const DAY = 86_400_000;
const LEASE_IS_OVER = 120_000;
const CLEAN_RUNS = 8;
const SOMEBODY = { id: "somebody", description: "somebody" };

/** What an operator, or a disk, does to a pipeline after its runs. */
export type Act =
  /** The ledger is gone, and the sink is adopted. */
  | "lose ledger"
  /** The ledger is gone, and all is read again. */
  | "lose ledger, from start"
  | "rewind"
  /** The ledger of after the first runs comes back after further ones. Then rows are added. */
  | "restore ledger"
  /** The store and the table of after the first runs come back after further ones. */
  | "restore table"
  /** The table is emptied after the first runs. */
  | "lose table"
  /** A committed batch is asked for again before the source was told of it. */
  | "rewind, acknowledgement due"
  /** The ledger is gone while the first run is asleep. */
  | "lose ledger under a run"
  /** The open batch is skipped, before runs that sleep go on. */
  | "skip";

export const ACTS = [
  "lose ledger",
  "lose ledger, from start",
  "rewind",
  "restore ledger",
  "restore table",
  "lose table",
  "rewind, acknowledgement due",
  "skip",
] as const satisfies readonly Act[];

/** Makes runs without faults until there is no new data. Only a few runs may be needed. */
export async function finish(
  world: Surroundings,
  options: { readonly takesOver?: boolean } = {},
): Promise<void> {
  for (let runs = 0; runs < CLEAN_RUNS; runs++) {
    const run = new Run(world, options);
    const outcome = await run.start();
    world.now += LEASE_IS_OVER;
    if (outcome === "idle" || isRefusedTarget(run.failure)) return;
  }
  world.broken("runs without faults do not come to an end");
}

/** True if a batch pipeline may not write, because its target exists: its work is done. */
function isRefusedTarget(failure: unknown): boolean {
  return MillraceError.is(failure) && failure.code === "TARGET_EXISTS";
}

/** Runs a vacuum when the clock is some days later. */
export async function tidy(world: Surroundings): Promise<void> {
  const run = new Run(world);
  const { sessions, ports } = await run.open();
  if ((await world.ledger.head(world.pipeline)) === undefined) return;
  await vacuum(sessions, ports, { olderThan: DAY, dryRun: false });
}

/**
 * Runs a vacuum that spares no file for its age, after each of these numbers of turns. Each of its
 * calls waits for its turn, too.
 */
export async function vacuumBeside(
  world: Surroundings,
  turn: () => Promise<void>,
  pauses: readonly number[],
): Promise<void> {
  for (const pause of pauses) {
    for (let waited = 0; waited < pause; waited++) await turn();
    const { sessions, ports } = await new Run(world, { turn }).open();
    await vacuum(sessions, ports, { olderThan: 0, dryRun: false });
  }
}

/**
 * Does what the case says after its runs, and what a person then has to do. Returns the rows that
 * the table must have in the end, if they are not the usual ones.
 */
export async function perform(world: World, act: Act | undefined): Promise<readonly number[] | undefined> {
  const perform = act === undefined ? undefined : PERFORMED[act];
  return await perform?.(world);
}

/** Returns the rows that the runs bring without an act, when all of them have ended. */
export async function expectedRows(world: World): Promise<readonly number[]> {
  // The table of a command is judged by its meaning.
  if (world.setup.command !== undefined) return [];
  const rows = allRows(world.shape).filter((id) => !world.skipped.has(id));
  if (world.setup.mode !== "append") return rows;
  // Each batch of a batch pipeline that appends brings all rows again.
  return (await world.ledger.batches(world.pipeline, { limit: 1000 })).flatMap(() => rows);
}

/** How each act is performed. An act that comes before runs that sleep has nothing left to do. */
const PERFORMED: Readonly<Record<Act, ((world: World) => Promise<readonly number[]>) | undefined>> = {
  skip: undefined,
  "lose ledger under a run": undefined,
  rewind: async (world) => [...allRows(world.shape), ...(await rewound(world))],
  "lose ledger": (world) => loseLedger(world, false),
  "lose ledger, from start": (world) => loseLedger(world, true),
  async "restore ledger"(world) {
    const restore = world.keepLedger();
    await finish(world);
    restore();
    world.addRows(4);
    if (await isRefused(world, "LEDGER_BEHIND_SINK")) await adopted(world, false);
    return allRows(world.shape);
  },
  async "restore table"(world) {
    const restore = world.keepObjects();
    await finish(world);
    restore();
    return await goOnWithSink(world);
  },
  async "lose table"(world) {
    // The files of a batch that has landed are not staged any more, so its commit cannot be
    // repeated.
    if ((await openBatchOf(world))?.state === "committing") return allRows(world.shape);
    world.loseTable();
    return await goOnWithSink(world);
  },
  "rewind, acknowledgement due": rewindBehindDue,
};

async function loseLedger(world: World, fromStart: boolean): Promise<readonly number[]> {
  await finish(world);
  world.now += 3 * DAY;
  await tidy(world);
  world.loseLedger();
  await expectRefusal(world, "LEDGER_BEHIND_SINK");
  await adopted(world, fromStart);
  return fromStart ? [...allRows(world.shape), ...allRows(world.shape)] : allRows(world.shape);
}

async function goOnWithSink(world: World): Promise<readonly number[]> {
  world.addRows(4);
  if (await isRefused(world, "SINK_BEHIND_LEDGER")) await returnToSink(world);
  return allRows(world.shape);
}

async function rewindBehindDue(world: World): Promise<readonly number[]> {
  const head = await world.ledger.head(world.pipeline);
  const due = head?.unacknowledged;
  if (due === undefined || head?.openBatchId !== undefined) return allRows(world.shape);
  const { start } = (await world.ledger.batch(world.pipeline, due.batchId)) ?? {};
  const [from, to] = [Number(start?.["n"]), Number(due.end["n"])];
  world.expectsAgain(from, to);
  await moveTo(world, { n: from });
  return [...rowsBetween(world.shape, 0, to), ...rowsBetween(world.shape, from, world.shape.rows)];
}

/** Skips the open batch, if there is one. */
export async function skipOpenBatch(world: World): Promise<void> {
  const { sessions, ports } = await new Run(world).open();
  const choice = { discard: true };
  try {
    const { start, end, hasLanded } = await previewSkip(sessions, ports, choice);
    if (!hasLanded)
      for (const id of rowsBetween(world.shape, Number(start["n"]), Number(end["n"]))) world.skipped.add(id);
  } catch (error) {
    if (MillraceError.is(error) && error.code === "BATCH_NOT_OPEN") return;
    throw error;
  }
  const action = { by: "somebody", at: world.now };
  await skip(sessions, ports, { ...choice, action, owner: SOMEBODY, hasEnded: async () => true });
}

/** Adopts the newest batch in the sink, if the sink knows the pipeline. */
async function adopted(world: World, fromStart: boolean): Promise<void> {
  const { sessions, ports } = await new Run(world).open();
  const shown = await previewAdoption(sessions, ports, { fromStart });
  if (shown.openBatchId !== null) world.expectsGivenUp(shown.openBatchId);
  world.expectsJump(shown.nextBatchId, positionOf(shown.to ?? {}));
  const action = { by: "somebody", at: world.now };
  const request = { fromStart, shown, action, owner: SOMEBODY, hasEnded: async () => true };
  await adopt(sessions, ports, request);
}

async function openBatchOf({ ledger, pipeline }: World): Promise<Batch | undefined> {
  const head = await ledger.head(pipeline);
  return head?.openBatchId === undefined ? undefined : await ledger.batch(pipeline, head.openBatchId);
}

async function expectRefusal(world: World, code: string): Promise<void> {
  if (!(await isRefused(world, code))) world.broken(`a run is not refused with ${code}`);
}

/** True if a run fails with this code. It must then have changed nothing that a reader sees. */
async function isRefused(world: World, code: string): Promise<boolean> {
  const before = JSON.stringify(world.visible());
  const run = new Run(world);
  const outcome = await run.start();
  world.now += LEASE_IS_OVER;
  if (outcome !== "failed" || !MillraceError.is(run.failure) || run.failure.code !== code) return false;
  if (JSON.stringify(world.visible()) !== before) world.broken("a run that was refused has written rows");
  return true;
}

/** Most runs and operations after a ledger was rolled back. */
const STEPS_BY_HAND = 16;

/**
 * Rolls the ledger back if the runs were too short for it. Then runs until there is no new data,
 * and does what each error advises.
 */
export async function finishByHand(world: World): Promise<void> {
  world.rollBack();
  for (let steps = 0; steps < STEPS_BY_HAND; steps++) {
    const run = new Run(world);
    const outcome = await run.start();
    world.now += LEASE_IS_OVER;
    // The run of a batch pipeline that only ends the last batch compares nothing with the sink.
    const isDone = !isBatchPipeline(world.setup) || run.calls.includes("sink.commit");
    if (outcome === "idle" && isDone) return;
    // What the sink has said may stand beside the error of a task.
    const told = MillraceError.is(run.failure) ? [run.failure, ...run.failure.also] : [];
    const isTold = (code: string) => told.some((error) => error.code === code);
    if (isTold("LEDGER_BEHIND_SINK")) await adopted(world, false);
    else if (isTold("SINK_BEHIND_LEDGER")) await returnToSink(world);
  }
  world.broken("runs and what their errors advise do not come to an end");
}

/** Goes on where the sink ends, as the refusal says: by a rewind, or by an adoption. */
async function returnToSink(world: World): Promise<void> {
  const { sessions, ports } = await new Run(world).open();
  const { to } = await previewAdoption(sessions, ports, {}).catch(() => ({ to: null }));
  const head = await world.ledger.head(world.pipeline);
  if (head?.openBatchId !== undefined) await adopted(world, to === null);
  else await moveTo(world, to ?? offsetAt(world.setup, 0));
}

/**
 * Finishes all batches, rewinds to the last batch, and returns its rows. Without the first step
 * there might be no batch to rewind.
 */
async function rewound(world: World): Promise<readonly number[]> {
  await finish(world);
  const [last] = await world.ledger.batches(world.pipeline, { limit: 1 });
  if (last === undefined) throw new Error("there is nothing to rewind");
  await moveTo(world, last.start);
  return rowsBetween(world.shape, Number(last.start["n"]), world.shape.rows);
}

async function moveTo(world: World, to: Offset): Promise<void> {
  const { pipeline, ledger } = world;
  const head = await ledger.head(pipeline);
  if (head?.offset === undefined) throw new Error("there is nothing to rewind");
  world.expectsJump(head.nextBatchId, positionOf(to));
  await rewind(
    { ledger, runtime: world.runtime() },
    {
      pipeline,
      rewind: { by: "somebody", at: world.now, from: head.offset, to },
      owner: SOMEBODY,
      hasEnded: async () => true,
    },
  );
}
