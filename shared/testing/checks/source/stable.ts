import { setTimeout } from "node:timers/promises";
import { MillraceError } from "../../../contract/errors.ts";
import { type Offset, sameOffset } from "../../../contract/offset.ts";
import { driftOf, isPresentSecond, type ObservedEnd } from "../../guesses/clock.ts";
import type { Subject } from "./subject.ts";

const SECOND = 1000;
/**
 * How far the clock moves between the two calls of a pair, in milliseconds. Counters are unlikely
 * to increase by exactly these numbers.
 */
const PAUSES = [7, 11, 13];
const REAL_PAUSE_MILLISECONDS = 15;
const MORE_QUESTIONS = 4;

type Compare = (a: Offset, b: Offset) => number;

/**
 * Asks for an end repeatedly. Returns true if it does not change. Returns false, and adds a note to
 * the report, if it changes because data seems to arrive. Error: `OFFSET_NOT_STABLE`.
 */
export async function checkStable(
  { surroundings, findings }: Subject<unknown>,
  what: string,
  askEnd: () => Promise<Offset>,
  compare?: Compare,
): Promise<boolean> {
  const ask = async (): Promise<ObservedEnd> => {
    const { now } = surroundings;
    const from = performance.now();
    const end = await askEnd();
    return { end, now, realNow: surroundings.realNow(), from, to: performance.now() };
  };
  const pairs: (readonly [ObservedEnd, ObservedEnd])[] = [];
  for (const pause of PAUSES) {
    const first = await ask();
    surroundings.now += pause;
    await setTimeout(REAL_PAUSE_MILLISECONDS);
    const second = await ask();
    if (sameOffset(first.end, second.end)) return true;
    pairs.push([first, second]);
  }
  const all = pairs.flat();
  for (let more = 0; more < MORE_QUESTIONS; more++) all.push(await ask());
  const change = driftOf(pairs, all, compare);
  if (change !== "growth") throw unstableEnd(change, what, pairs.at(-1) ?? []);
  findings.skip(
    `that the end stands still: ${what} grows while it is asked: data seems to arrive; check against a source that stands still`,
  );
  return false;
}

function unstableEnd(change: "clock" | "chance", what: string, asked: readonly ObservedEnd[]): MillraceError {
  const shown = asked.map(({ end }) => JSON.stringify(end)).join(", then ");
  return notStable(
    `${what}, asked twice at one instant, gave ${shown}: it follows ${change === "clock" ? "the clock" : "chance"}`,
    change === "clock"
      ? "Rows that belong before such an end, and come a moment later, are lost. Stay behind runtime.now() and round it down: settledNow(now, { lag, step }). If data really arrives that fast, check against a source that stands still."
      : "Let the end say what there is to read, and be the same where that is: a replay asks for the rows between two offsets. If data really arrives that fast, check against a source that stands still, or give compareOffsets.",
  );
}

export function notStable(message: string, hint: string): MillraceError {
  return new MillraceError("OFFSET_NOT_STABLE", message, { hint });
}

/** Adds a note to the report if the end is the current second and moves with the clock. */
export async function noteLag(
  { surroundings, findings }: Subject<unknown>,
  start: Offset,
  ask: () => Promise<Offset>,
): Promise<void> {
  const end = await ask();
  const clocks = [surroundings.now, surroundings.realNow()];
  if (sameOffset(start, end) || !isPresentSecond(end, clocks)) return;
  surroundings.now += SECOND;
  await setTimeout(SECOND);
  if (sameOffset(end, await ask())) return;
  findings.skip(
    "late rows: the end is the present second: rows that come late are lost unless the source waits for them (settledNow's lag)",
  );
}
