import { MillraceError } from "../contract/errors.ts";
import { epochMilliseconds, scanMoment } from "../contract/iso.ts";
import { isPlainObject } from "../contract/json.ts";
import { type Offset, sameOffset } from "../contract/offset.ts";

const NEAR_MILLISECONDS = 5000;
/** How long to wait before asking again: long enough for a clock in milliseconds to advance. */
const INSTANT_MILLISECONDS = 5;

/**
 * Returns a warning if `end` follows the clock: `latestOffset` then returns a new end each time it
 * is called. Only an end close to the current time is asked for again, because the call may be
 * expensive. It is a warning and not an error, because a source that receives data all the time
 * looks the same.
 */
export async function findClockOffset(
  end: Offset,
  now: number,
  askAgain: () => Promise<Offset>,
  sleep: (milliseconds: number) => Promise<void>,
): Promise<MillraceError | undefined> {
  if (!containsNearTime(end, now)) return undefined;
  await sleep(INSTANT_MILLISECONDS);
  const second = await askAgain();
  if (sameOffset(end, second)) return undefined;
  return new MillraceError(
    "OFFSET_FOLLOWS_CLOCK",
    `latestOffset(), asked twice at one instant, gave ${JSON.stringify(end)}, then ${JSON.stringify(second)}: it seems to be the time of day`,
    {
      hint: "Rows that belong before such an end, and come a moment later, are never read. Stay behind the clock and round it down: settledNow(this.runtime.now(), { lag, step }).",
    },
  );
}

/** True if the value contains a time within 5 seconds of `now` that is finer than a second. */
function containsNearTime(value: unknown, now: number): boolean {
  if (isPlainObject(value)) return Object.values(value).some((item) => containsNearTime(item, now));
  if (Array.isArray(value)) return value.some((item) => containsNearTime(item, now));
  if (typeof value === "string" && /^\d+(\.\d+)?$/.test(value)) return containsNearTime(Number(value), now);
  if (typeof value === "string") return isNearTimeText(value, now);
  if (typeof value !== "number") return false;
  // The number may be epoch milliseconds, microseconds, or seconds with a fraction.
  return (
    (isWithin(value, now) && value % 1000 !== 0) ||
    (isWithin(value / 1000, now) && value % 1_000_000 !== 0) ||
    (isWithin(value * 1000, now) && value % 1 !== 0)
  );
}

function isNearTimeText(text: string, now: number): boolean {
  const moment = scanMoment(text);
  const isFinerThanSecond = moment !== undefined && (moment.micros > 0 || moment.isFiner);
  return isFinerThanSecond && isWithin(epochMilliseconds(moment), now);
}

function isWithin(time: number, now: number): boolean {
  return Math.abs(time - now) <= NEAR_MILLISECONDS;
}
