import { checkOffset, compareByValue, type Offset, sameOffset } from "../../../contract/offset.ts";
import { type ReadLimit, ReadMaxBytes, ReadMaxFiles, ReadMaxRows } from "../../../contract/read-limit.ts";
import { throughJson } from "../../through-json.ts";
import type { Trap } from "../trap.ts";
import { offsetWentBack } from "./compare.ts";
import {
  CLOCK_STEPS,
  hasStart,
  provideMoreData,
  reportNothingToRead,
  type Started,
  type StreamSubject,
} from "./subject.ts";

/**
 * Detects an end that is before its start. On success, stores the offsets b and c of two
 * consecutive ranges in the subject, if the source has them.
 */
export const NEXT_OFFSETS: Trap<StreamSubject, StreamSubject & Started> = {
  code: "OFFSET_WENT_BACK",
  applies: hasStart,
  async run(stream) {
    stream.isComplete = await stream.findings.check("latestOffset() again and again", async () => {
      await findOffsets(stream);
    });
    if (stream.b === undefined && stream.isComplete) reportNothingToRead(stream, stream.start);
    return stream.b !== undefined;
  },
};

async function findOffsets(stream: StreamSubject & Started): Promise<void> {
  const { start, limit } = stream;
  const b = await next(stream, start, limit);
  if (b === undefined) return;
  stream.b = b;
  const c = await next(stream, b, limit);
  if (c !== undefined) {
    stream.c = c;
    return;
  }
  for (const small of [new ReadMaxRows(1), new ReadMaxFiles(1), new ReadMaxBytes(1), new ReadMaxRows(100)]) {
    const middle = await latest(stream, start, small);
    if (sameOffset(middle, start) || sameOffset(middle, b)) continue;
    stream.c = b;
    stream.b = middle;
    return;
  }
}

/**
 * Returns the end of the next batch. If there is none, asks again after making the source have more
 * data.
 */
async function next(stream: StreamSubject, start: Offset, limit: ReadLimit): Promise<Offset | undefined> {
  for (const milliseconds of [0, ...CLOCK_STEPS]) {
    if (milliseconds > 0) await provideMoreData(stream, milliseconds);
    const end = await latest(stream, start, limit);
    if (!sameOffset(start, end)) return end;
  }
  return undefined;
}

async function latest(stream: StreamSubject, start: Offset, limit: ReadLimit): Promise<Offset> {
  const reader = await stream.make();
  const end = checkOffset(await reader.latestOffset(start, limit), "latestOffset()");
  const order = reader.compareOffsets?.(end, start) ?? compareByValue(end, start);
  if (order !== undefined && order < 0) throw offsetWentBack("latestOffset", start, end);
  return throughJson(end);
}
