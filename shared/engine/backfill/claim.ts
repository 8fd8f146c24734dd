import {
  type BackfillRange,
  backfillName,
  pipelineOfBackfill,
  repetitionOf,
} from "../../contract/backfill.ts";
import { kindOfBound, lengthOfChunk, parseBound, rangeInvalid, valueOfBound } from "../../contract/bounds.ts";
import { type ErrorRecord, MillraceError } from "../../contract/errors.ts";
import type { Offset } from "../../contract/offset.ts";
import { optional } from "../../contract/optional.ts";
import type { SupportsBackfill } from "../../contract/stream-reader.ts";
import { withLease } from "../acquire.ts";
import type { Head, Owner } from "../ports/ledger.ts";
import type { Action, BackfillClaim } from "../ports/manual-operations.ts";
import type { Ports } from "../ports/runtime.ts";
import { guard } from "../sessions/guard.ts";
import type { Sessions } from "../sessions/open-sessions.ts";
import { liveRanges, overlapping } from "./live-range.ts";
import { canBackfill, notSupported, type StreamReader } from "./reader.ts";
import { isFinished } from "./state.ts";

/** What a person asks for. It is JSON, so that it can be sent to a function. */
export interface BackfillRequest {
  readonly from: string;
  readonly to: string;
  readonly chunk?: string;
  /** Also a range that overlaps one of an earlier backfill. */
  readonly again?: boolean;
  /** Also a range that overlaps that of the pipeline itself. */
  readonly overLive?: boolean;
  readonly action: Action;
  /** Makes the head of a pipeline that has never run. */
  readonly owner: Owner;
}

/** The backfill that a run is to go on with, or why there is none. */
export type BackfillReport = ClaimedBackfill | { readonly refused: ErrorRecord };

export interface ClaimedBackfill extends BackfillRange {
  /** Name of the pipeline that reads the range. */
  readonly name: string;
  /** True if an earlier command has begun it. */
  readonly resumed: boolean;
}

const DEFAULT_CHUNK = "1d";
const TRIES = 10;
/** Claims are kept in the head, whose size is limited. */
const MOST_CLAIMS = 500;

/**
 * Takes a range for a backfill, or finds the one that has it and is not finished. Of two that
 * overlap and begin at once, the ledger lets one win. Returns a refusal rather than throwing it.
 */
export async function claimBackfill(
  sessions: Sessions,
  ports: Ports,
  request: BackfillRequest & { hasEnded(owner: Owner): Promise<boolean> },
): Promise<BackfillReport> {
  try {
    const asked = askedRange(request);
    const reader = await backfillable(sessions);
    await createHead(sessions.pipeline.name, ports, request);
    for (let tries = 1; ; tries++) {
      try {
        const claimed = await claimOnce(sessions, ports, reader, asked, request);
        // So that it is shown, and can be forgotten, before its first batch is planned.
        await createHead(claimed.name, ports, request);
        return claimed;
      } catch (error) {
        // Another backfill has begun meanwhile, so all is looked at anew.
        const isConflict = MillraceError.is(error) && error.code === "LEDGER_CONFLICT";
        if (!isConflict || tries === TRIES) throw error;
      }
    }
  } catch (error) {
    if (!MillraceError.is(error) || !REFUSALS.has(error.code)) throw error;
    return { refused: error.with({ where: { pipeline: sessions.pipeline.name } }).toRecord() };
  }
}

const REFUSALS: ReadonlySet<string> = new Set([
  "BACKFILL_INCOMPLETE",
  "BACKFILL_NOT_SUPPORTED",
  "BACKFILL_OVERLAPS",
  "BACKFILL_RANGE_INVALID",
  "DURATION_INVALID",
]);

type AskedRange = Pick<BackfillRange, "from" | "to"> & { readonly chunk: string | undefined };

/** Returns the range that is asked for, with its bounds in their one form. */
function askedRange(request: BackfillRequest): AskedRange {
  const [from, to] = [parseBound(request.from, "--from"), parseBound(request.to, "--to")];
  const kind = kindOfBound(from);
  if (kind !== kindOfBound(to)) {
    throw rangeInvalid(
      `--from is a ${kind}, and --to is a ${kindOfBound(to)}`,
      "Give two times, or two numbers.",
    );
  }
  if (valueOfBound(from) >= valueOfBound(to)) {
    const hint =
      "The range contains --from and ends before --to: a day is --from 2026-01-01 --to 2026-01-02.";
    throw rangeInvalid(`the range from ${from} to ${to} is empty`, hint);
  }
  if (request.chunk !== undefined) lengthOfChunk(request.chunk, kind);
  return { from, to, chunk: request.chunk };
}

/** Returns the reader of a pipeline that can be backfilled. Error: `BACKFILL_NOT_SUPPORTED`. */
async function backfillable({
  pipeline,
  source,
}: Sessions): Promise<StreamReader & SupportsBackfill<object>> {
  const where = { pipeline: pipeline.name };
  const refuse = (problem: string, hint: string) =>
    new MillraceError("BACKFILL_NOT_SUPPORTED", problem, { where, hint });
  if (pipelineOfBackfill(pipeline.name) !== undefined) {
    throw refuse("this is a backfill itself", `To go on with it: \`millrace run ${pipeline.name}\`.`);
  }
  if (pipeline.saveMode !== undefined) {
    throw refuse(
      "a batch pipeline reads its whole range in each run",
      "Change the range in its options, and run it; or read the source as a stream.",
    );
  }
  if (pipeline.outputs === "complete") {
    throw refuse(
      "in the output mode complete, each batch replaces all rows of the sink",
      "A backfill would remove the rows of the stream. Write its range into another sink.",
    );
  }
  if (pipeline.mergesStream?.applyAsDeletes !== undefined) {
    throw refuse(
      "its merge has deletes, which the sink forgets after a time",
      "An older change would bring a deleted row back. Write the range into another table, and merge from there.",
    );
  }
  const { reader } = await source.planner();
  if (canBackfill(reader)) return reader;
  throw notSupported(where);
}

/** Makes the head of a pipeline that has never run. */
async function createHead(
  pipeline: string,
  ports: Ports,
  request: { readonly owner: Owner; hasEnded(owner: Owner): Promise<boolean> },
): Promise<void> {
  if ((await ports.ledger.head(pipeline)) !== undefined) return;
  try {
    await withLease(pipeline, ports, request, async () => undefined);
  } catch (error) {
    // A run that begins at this moment makes the head as well.
    if (!MillraceError.is(error) || error.code !== "LEASE_HELD") throw error;
  }
}

async function claimOnce(
  sessions: Sessions,
  ports: Ports,
  reader: StreamReader & SupportsBackfill<object>,
  asked: AskedRange,
  request: BackfillRequest,
): Promise<ClaimedBackfill> {
  const { name: pipeline } = sessions.pipeline;
  const head = (await ports.ledger.head(pipeline)) as Head;
  const claims = head.backfills ?? [];
  const same = claims.filter(({ from, to }) => from === asked.from && to === asked.to);
  const newest = same.at(-1);
  if (newest !== undefined && !(await isFinished(ports.ledger, newest)))
    return await goOn(ports, head, newest, asked, request);
  if (request.again !== true) await refuseEarlier(ports, claims, asked);
  await refuseIncomplete(sessions, reader, asked);
  if (request.overLive !== true) await refuseLive(sessions, ports, reader, head, asked);
  if (claims.length >= MOST_CLAIMS) throw tooManyClaims(pipeline);
  const chunk = asked.chunk ?? defaultChunk(asked);
  const range = { from: asked.from, to: asked.to, chunk };
  const claim = {
    name: backfillName(pipeline, range, repetition(same)),
    id: ports.runtime.newId(),
    ...range,
  };
  await setClaims(ports, head, [...claims, claim], request.action, claim);
  return { ...withoutId(claim), resumed: false };
}

/** A repetition has a number that no earlier one has, also if one was forgotten. */
function repetition(same: readonly BackfillClaim[]): number {
  const last = same.at(-1);
  return last === undefined ? 1 : repetitionOf(last.name) + 1;
}

function withoutId({ id: _id, ...claim }: BackfillClaim): Omit<BackfillClaim, "id"> {
  return claim;
}

/** Goes on with a backfill that is not finished. A given chunk is that of the next batches. */
async function goOn(
  ports: Ports,
  head: Head,
  claim: BackfillClaim,
  { chunk = claim.chunk }: AskedRange,
  { action }: BackfillRequest,
): Promise<ClaimedBackfill> {
  const changed = { ...claim, chunk };
  if (chunk !== claim.chunk) {
    const claims = head.backfills?.map((each) => (each.id === claim.id ? changed : each)) ?? [];
    await setClaims(ports, head, claims, action, changed);
  }
  return { ...withoutId(changed), resumed: true };
}

/** If the outcome is unknown, the claim is looked for: its id is that of no other command. */
async function setClaims(
  { ledger }: Ports,
  head: Head,
  to: readonly BackfillClaim[],
  action: Action,
  claim: BackfillClaim,
): Promise<void> {
  try {
    await ledger.setBackfills(head.pipeline, { ...action, from: head.backfills ?? [], to });
  } catch (error) {
    const now = (await ledger.head(head.pipeline))?.backfills ?? [];
    if (!now.some(({ id, chunk }) => id === claim.id && chunk === claim.chunk)) throw error;
  }
}

function defaultChunk({ from }: AskedRange): string {
  if (kindOfBound(from) === "time") return DEFAULT_CHUNK;
  throw rangeInvalid(
    "a range of numbers needs --chunk",
    "Give how many numbers one batch covers, such as --chunk 100000.",
  );
}

async function refuseEarlier(
  { ledger }: Ports,
  claims: readonly BackfillClaim[],
  { from, to }: AskedRange,
): Promise<void> {
  const kind = kindOfBound(from);
  const earlier = claims.find(
    (claim) =>
      kindOfBound(claim.from) === kind &&
      valueOfBound(from) < valueOfBound(claim.to) &&
      valueOfBound(claim.from) < valueOfBound(to),
  );
  if (earlier === undefined) return;
  const finished = await isFinished(ledger, earlier);
  const state = finished ? "has read" : "is reading";
  const wayOn = finished
    ? "Its rows are in the sink."
    : `To go on with that one: \`millrace run ${earlier.name}\`.`;
  throw new MillraceError(
    "BACKFILL_OVERLAPS",
    `the backfill ${earlier.name} ${state} from ${earlier.from} to ${earlier.to}, which the range from ${from} to ${to} overlaps`,
    {
      hint: `Nothing was started. ${wayOn} To read the range once more: --again; a sink that appends then has its rows twice.`,
    },
  );
}

async function refuseIncomplete(
  { pipeline: { name } }: Sessions,
  reader: SupportsBackfill<object>,
  { from, to }: AskedRange,
): Promise<void> {
  const complete = await guard("SOURCE_FAILED", "completeUpTo() failed", { pipeline: name }, async () =>
    reader.completeUpTo(),
  );
  const kind = kindOfBound(complete);
  if (kind !== kindOfBound(from)) {
    const example = kind === "time" ? "such as 2026-01-01" : "such as 1000";
    throw rangeInvalid(`--from and --to are no ${kind}s`, `This source is read by ${kind}s, ${example}.`);
  }
  if (valueOfBound(to) <= valueOfBound(complete)) return;
  throw new MillraceError(
    "BACKFILL_INCOMPLETE",
    `the source is complete up to ${complete}, and --to is ${to}: what arrives later would be missed`,
    {
      hint: `Nothing was started. Choose --to ${complete} or earlier. What comes after it is the stream's part.`,
    },
  );
}

/** Refuses a range that the pipeline itself has read, or will read. */
async function refuseLive(
  { pipeline: { name }, source }: Sessions,
  { ledger }: Ports,
  reader: StreamReader & SupportsBackfill<object>,
  head: Head,
  { from, to }: AskedRange,
): Promise<void> {
  const planner = await source.planner();
  const initial = await planner.initialOffset();
  const [start, end] = (await guard("SOURCE_FAILED", "offsetAt() failed", { pipeline: name }, async () => [
    await reader.offsetAt(from),
    await reader.offsetAt(to),
  ])) as [Offset, Offset];
  const live = await overlapping(reader, await liveRanges(ledger, head, initial), { start, end });
  if (live === undefined) return;
  const upTo = live.end === undefined ? "on" : `to ${JSON.stringify(live.end)}`;
  throw new MillraceError(
    "BACKFILL_OVERLAPS",
    `the pipeline itself reads from ${JSON.stringify(live.start)} ${upTo}, which the range from ${from} to ${to} overlaps`,
    {
      hint: "Nothing was started. Choose a range beside that of the pipeline. To read it all the same, because rows are missing or the sink replaces them by key: --over-live; a sink that appends then has rows twice.",
    },
  );
}

function tooManyClaims(pipeline: string): MillraceError {
  return new MillraceError("BACKFILL_NOT_SUPPORTED", `the pipeline has ${MOST_CLAIMS} backfills already`, {
    where: { pipeline },
    hint: "Forget old ones: `millrace forget NAME`; their rows stay. Their ranges can then be read again.",
  });
}

/** Returns the range of a backfill that the ledger knows. Error: `PIPELINE_NOT_FOUND`. */
export async function rangeOfBackfill(
  ledger: Pick<Ports["ledger"], "head">,
  name: string,
): Promise<BackfillRange> {
  const pipeline = pipelineOfBackfill(name) ?? name;
  const claim = (await ledger.head(pipeline))?.backfills?.find((each) => each.name === name);
  if (claim !== undefined) return { from: claim.from, to: claim.to, chunk: claim.chunk };
  throw new MillraceError("PIPELINE_NOT_FOUND", `the ledger knows no backfill "${name}"`, {
    where: { pipeline: name },
    ...optional("hint", "See `millrace status` which there are; a new one begins by `millrace backfill`."),
  });
}

/** Frees the range of a backfill. Does nothing for other pipelines. */
export async function giveUpRange(
  ledger: Pick<Ports["ledger"], "head" | "setBackfills">,
  name: string,
  action: Action,
): Promise<void> {
  const pipeline = pipelineOfBackfill(name);
  for (let tries = 1; pipeline !== undefined; tries++) {
    const from = (await ledger.head(pipeline))?.backfills ?? [];
    const to = from.filter((claim) => claim.name !== name);
    if (to.length === from.length) return;
    try {
      return await ledger.setBackfills(pipeline, { ...action, from, to });
    } catch (error) {
      if (tries === TRIES) throw error;
    }
  }
}
