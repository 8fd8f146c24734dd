import { MillraceError } from "../contract/errors.ts";
import { epochMilliseconds, scanMoment } from "../contract/iso.ts";
import { isPlainObject } from "../contract/json.ts";
import { type Offset, sameOffset } from "../contract/offset.ts";

const NEAR_MILLISECONDS = 5000;
/** Long enough for a clock in milliseconds to go on. */
const INSTANT_MILLISECONDS = 5;

/**
 * What is wrong with an end that is the time of day, unrounded: asked for again at one instant it is another. Only such an end is asked for twice, for a source
 * may do work for each answer. It is a warning, not an error: an end that comes from data that arrives all the time looks the same.
 */
export async function findClock(
  end: Offset,
  now: number,
  again: () => Promise<Offset>,
  sleep: (milliseconds: number) => Promise<void>,
): Promise<MillraceError | undefined> {
  if (!isNear(end, now)) return undefined;
  await sleep(INSTANT_MILLISECONDS);
  const second = await again();
  if (sameOffset(end, second)) return undefined;
  return new MillraceError(
    "OFFSET_FOLLOWS_CLOCK",
    `latestOffset(), asked twice at one instant, gave ${JSON.stringify(end)}, then ${JSON.stringify(second)}: it seems to be the time of day`,
    {
      hint: "Rows that belong before such an end, and come a moment later, are never read. Stay behind the clock and round it down: settledNow(this.runtime.now(), { lag, step }).",
    },
  );
}

/** True where some value is a time within seconds of `now`, finer than a second. */
function isNear(value: unknown, now: number): boolean {
  if (isPlainObject(value)) return Object.values(value).some((item) => isNear(item, now));
  if (Array.isArray(value)) return value.some((item) => isNear(item, now));
  if (typeof value === "string" && /^\d+(\.\d+)?$/.test(value)) return isNear(Number(value), now);
  if (typeof value === "string") return isNearTime(value, now);
  if (typeof value !== "number") return false;
  // Milliseconds, microseconds, and seconds with a fraction.
  return (
    (isWithin(value, now) && value % 1000 !== 0) ||
    (isWithin(value / 1000, now) && value % 1_000_000 !== 0) ||
    (isWithin(value * 1000, now) && value % 1 !== 0)
  );
}

function isNearTime(text: string, now: number): boolean {
  const moment = scanMoment(text);
  const isFinerThanSecond = moment !== undefined && (moment.micros > 0 || moment.isFiner);
  return isFinerThanSecond && isWithin(epochMilliseconds(moment), now);
}

function isWithin(time: number, now: number): boolean {
  return Math.abs(time - now) <= NEAR_MILLISECONDS;
}
