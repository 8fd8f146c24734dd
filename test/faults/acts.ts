import { MillraceError } from "../../shared/contract/errors.ts";
import type { Offset } from "../../shared/contract/offset.ts";
import { adopt, previewAdoption } from "../../shared/engine/adopt.ts";
import { rewind } from "../../shared/engine/rewind.ts";
import { previewSkip, skip } from "../../shared/engine/skip.ts";
import { vacuum } from "../../shared/engine/vacuum.ts";
import { Run } from "./run.ts";
import type { Surroundings, World } from "./world.ts";

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
  /** The open batch is skipped, before runs that sleep go on. */
  | "skip";

export const ACTS = [
  "lose ledger",
  "lose ledger, from start",
  "rewind",
  "restore ledger",
  "restore table",
  "skip",
] as const satisfies readonly Act[];

/** Makes runs without faults until there is no new data. Only a few runs may be needed. */
export async function finish(
  world: Surroundings,
  options: { readonly takesOver?: boolean } = {},
): Promise<void> {
  for (let runs = 0; runs < CLEAN_RUNS; runs++) {
    const outcome = await new Run(world, options).start();
    world.now += LEASE_IS_OVER;
    if (outcome === "idle") return;
  }
  world.broken("runs without faults do not come to an end");
}

/** Runs a vacuum when the clock is some days later. */
export async function tidy(world: Surroundings): Promise<void> {
  const run = new Run(world);
  const { sessions, ports } = await run.open();
  if ((await world.ledger.head(world.pipeline)) === undefined) return;
  await vacuum(sessions, ports, { olderThan: DAY, dryRun: false });
}

/**
 * Does what the case says after its runs, and what a person then has to do. Returns the rows that
 * the table must have in the end.
 */
export async function perform(world: World, act: Act | undefined): Promise<readonly number[]> {
  const all = () => rowsBetween(0, world.shape.rows);
  switch (act) {
    case undefined:
    case "skip":
      return all().filter((id) => !world.skipped.has(id));
    case "rewind":
      return [...all(), ...(await rewound(world))];
    case "lose ledger":
    case "lose ledger, from start": {
      await finish(world);
      world.now += 3 * DAY;
      await tidy(world);
      world.loseLedger();
      await expectRefusal(world, "LEDGER_BEHIND_SINK");
      const fromStart = act === "lose ledger, from start";
      await adopted(world, fromStart);
      return fromStart ? [...all(), ...all()] : all();
    }
    case "restore ledger": {
      const restore = world.keepLedger();
      await finish(world);
      restore();
      world.addRows(4);
      if (await isRefused(world, "LEDGER_BEHIND_SINK")) await adopted(world, false);
      return all();
    }
    case "restore table": {
      const restore = world.keepObjects();
      await finish(world);
      restore();
      world.addRows(4);
      if (await isRefused(world, "SINK_BEHIND_LEDGER")) await rewoundToSink(world);
      return all();
    }
  }
}

/** Skips the open batch, if there is one. */
export async function skipOpenBatch(world: World): Promise<void> {
  const { sessions, ports } = await new Run(world).open();
  const choice = { discard: true };
  try {
    const { start, end, hasLanded } = await previewSkip(sessions, ports, choice);
    if (!hasLanded) for (const id of rowsBetween(Number(start["n"]), Number(end["n"]))) world.skipped.add(id);
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
  world.expectsJump(shown.nextBatchId, Number(shown.to?.["n"] ?? 0));
  const action = { by: "somebody", at: world.now };
  const request = { fromStart, shown, action, owner: SOMEBODY, hasEnded: async () => true };
  await adopt(sessions, ports, request);
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

/** Rewinds to where the sink ends, as the refusal says. */
async function rewoundToSink(world: World): Promise<void> {
  const { sessions, ports } = await new Run(world).open();
  const { to } = await previewAdoption(sessions, ports, {}).catch(() => ({ to: null }));
  await skipOpenBatch(world);
  await moveTo(world, to ?? { n: 0 });
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
  return rowsBetween(Number(last.start["n"]), world.shape.rows);
}

async function moveTo(world: World, to: Offset): Promise<void> {
  const { pipeline, ledger } = world;
  const head = await ledger.head(pipeline);
  if (head?.offset === undefined) throw new Error("there is nothing to rewind");
  world.expectsJump(head.nextBatchId, Number(to["n"]));
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

function rowsBetween(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}
