import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { rewind } from "../../shared/engine/rewind.ts";
import { WRITTEN_AT } from "./project.ts";
import { dyingAtTheEnd, OldRun, type Place } from "./writing.ts";

/** Leaves state behind, as a run that ends or dies at some moment does. */
export type Leave = (place: Place) => Promise<void>;

async function began(place: Place): Promise<OldRun> {
  const run = await OldRun.open(place);
  await run.batch();
  return run;
}

async function written(place: Place) {
  const run = await began(place);
  const planned = await run.plan();
  for (const partition of planned.todo) await run.write(planned, partition);
  return { run, planned };
}

/** Two batches are committed, and none is open. */
const committed: Leave = async (place) => {
  const run = await began(place);
  await run.batch();
  await place.ledger.release(await fenceOf(place));
};

/** The first of two tasks of batch 1 is recorded. */
const planned: Leave = async (place) => {
  const run = await began(place);
  const next = await run.plan();
  await run.write(next, 0);
};

/** Batch 1 is decided to be committed, and its commit was not tried. */
const committing: Leave = async (place) => {
  const { planned: next } = await written(place);
  const batch = { ...next.batch };
  await place.ledger.decide(next.fence, batch, { to: "committing" });
};

/** The sink has committed batch 1, and the ledger does not know it. */
const landed: Leave = async (place) => {
  const { run, planned: next } = await written(place);
  const ports = { ...run.ports, ledger: dyingAtTheEnd(run.ports.ledger) };
  await run.finalize(next, ports).catch(() => undefined);
};

/** Attempt 1 of batch 1 is aborted. */
const aborted: Leave = async (place) => {
  const run = await began(place);
  const next = await run.plan();
  await run.write(next, 0);
  await run.finalize(next);
};

/** Attempt 1 of batch 1 is decided to be aborted, and its files are there. */
const aborting: Leave = async (place) => {
  const run = await began(place);
  const next = await run.plan();
  await run.write(next, 0);
  await place.ledger.decide(next.fence, next.batch, { to: "aborting" });
};

/** Batch 1 is committed, and the source was not told. */
const unacknowledged: Leave = async (place) => {
  const { run, planned: next } = await written(place);
  const refuse = join(place.folder, "refuse-acknowledgement");
  writeFileSync(refuse, "");
  await run.finalize(next);
  rmSync(refuse);
};

/** Two batches are committed. The pipeline was moved back to the end of the first, and paused. */
const rewound: Leave = async (place) => {
  await committed(place);
  const run = await OldRun.open(place, "person");
  const action = { by: "ada", why: "rows were wrong", at: WRITTEN_AT };
  await rewind(run.ports, {
    pipeline: "old",
    rewind: { ...action, from: { n: 40 }, to: { n: 20 } },
    owner: { id: "person", description: "ada" },
    hasEnded: async () => true,
  });
  await place.ledger.pause("old", action);
};

/** The only batch of a batch pipeline is open, and one of its two tasks is recorded. */
const batchPlanned: Leave = async (place) => {
  const run = await OldRun.open(place);
  const next = await run.plan();
  await run.write(next, 0);
};

/** Like `planned`, and the second task has died after its first request. */
const sending: Leave = async (place) => {
  const run = await began(place);
  const next = await run.plan();
  await run.write(next, 0);
  await run.write(next, 1).catch(() => undefined);
};

async function fenceOf({ ledger }: Place) {
  const { incarnation = "", epoch = 0 } = (await ledger.head("old")) ?? {};
  return { pipeline: "old", incarnation, epoch };
}

/** The states by their names. */
export const STATES = {
  committed,
  planned,
  committing,
  landed,
  aborted,
  aborting,
  unacknowledged,
  rewound,
  batchPlanned,
  sending,
} as const;
