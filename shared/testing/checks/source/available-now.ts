import { MillraceError } from "../../../contract/errors.ts";
import type { JsonValue } from "../../../contract/json.ts";
import { checkOffset, type Offset, sameOffset } from "../../../contract/offset.ts";
import type { ReadLimit } from "../../../contract/read-limit.ts";
import type { SupportsTriggerAvailableNow } from "../../../contract/stream-reader.ts";
import { throughJson } from "../../through-json.ts";
import type { Trap } from "../trap.ts";
import { HOUR, hasStart, type Started, type StreamReader, type StreamSubject } from "./subject.ts";

type Bounded = StreamReader & SupportsTriggerAvailableNow;

const MAX_STEPS = 1000;

/** Detects an `availableNow` run that never ends, or whose end is lost in another process. */
export const AVAILABLE_NOW: Trap<StreamSubject, StreamSubject & Started> = {
  code: "AVAILABLE_NOW_ENDLESS",
  applies: hasStart,
  async run(stream) {
    if (!("prepareForTriggerAvailableNow" in (await stream.make()))) return true;
    await stream.findings.check("availableNow", async () => {
      const reader = (await stream.make()) as Bounded;
      await reader.prepareForTriggerAvailableNow();
      const first = await latest(reader, stream.start, stream.limit);
      const target = await reader.availableNowTarget?.();
      const end = await followToEnd(stream, reader, first);
      if (target === undefined || !("restoreAvailableNow" in reader)) return;
      const other = (await stream.make()) as Bounded;
      await other.restoreAvailableNow?.(throughJson(target));
      const again = await latest(other, end, stream.limit);
      if (!sameOffset(again, end)) throw notRestored(target, end, again);
    });
    return true;
  },
};

async function latest(reader: StreamReader, start: Offset, limit: ReadLimit): Promise<Offset> {
  return checkOffset(await reader.latestOffset(start, limit), "latestOffset()");
}

/** Follows the run to its last offset while the clock moves on. */
async function followToEnd(stream: StreamSubject, reader: StreamReader, first: Offset): Promise<Offset> {
  let at = first;
  for (let steps = 0; steps <= MAX_STEPS; steps++) {
    stream.surroundings.now += HOUR;
    const next = await latest(reader, at, stream.limit);
    if (sameOffset(at, next)) return at;
    at = next;
  }
  throw new MillraceError(
    "AVAILABLE_NOW_ENDLESS",
    `after prepareForTriggerAvailableNow() there was more in each of ${MAX_STEPS} batches, while time went on`,
    {
      hint: "Fix the end in prepareForTriggerAvailableNow(), and let latestOffset() never go beyond it.",
    },
  );
}

function notRestored(target: JsonValue, at: Offset, end: Offset): MillraceError {
  return new MillraceError(
    "AVAILABLE_NOW_NOT_RESTORED",
    `after restoreAvailableNow(${JSON.stringify(target)}) the run goes on from ${JSON.stringify(at)} to ${JSON.stringify(end)}`,
    { hint: "restoreAvailableNow(target) must fix the same end as the prepare that gave the target." },
  );
}
