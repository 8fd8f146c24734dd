import { type Offset, sameOffset } from "../../../contract/offset.ts";
import type { Trap } from "../trap.ts";
import { readSimple } from "./simple-reading.ts";
import {
  CLOCK_STEPS,
  hasFirstRead,
  hasStart,
  provideMoreData,
  reportNothingToRead,
  type SimpleRange,
  type SimpleSubject,
  type Started,
} from "./subject.ts";

/**
 * Detects a `read` that returns rows but does not advance the offset. On success, stores the first
 * range in the subject.
 */
export const FIRST_READ: Trap<SimpleSubject, SimpleSubject & Started> = {
  code: "SIMPLE_STREAM_READER_OFFSET_DID_NOT_ADVANCE",
  applies: hasStart,
  async run(simple) {
    const isRead = await simple.findings.check("read(start)", async () => {
      const ab = await nextRange(simple, simple.start);
      if (ab !== undefined) simple.ab = ab;
    });
    if (isRead && simple.ab === undefined) reportNothingToRead(simple, simple.start);
    return simple.ab !== undefined;
  },
};

/** Detects the same mistake in the second range, if there is one. */
export const SECOND_READ: Trap<SimpleSubject, SimpleSubject & { readonly ab: SimpleRange }> = {
  code: "SIMPLE_STREAM_READER_OFFSET_DID_NOT_ADVANCE",
  applies: hasFirstRead,
  async run(simple) {
    return await simple.findings.check("read(b)", async () => {
      const bc = await nextRange(simple, simple.ab.end);
      if (bc !== undefined) simple.bc = bc;
    });
  },
};

/** Returns the next range. If there is none, reads again after making the source have more data. */
async function nextRange(simple: SimpleSubject, start: Offset): Promise<SimpleRange | undefined> {
  for (const milliseconds of [0, ...CLOCK_STEPS]) {
    if (milliseconds > 0) await provideMoreData(simple, milliseconds);
    const read = await readSimple(simple, start);
    if (!sameOffset(start, read.end)) return read;
  }
  return undefined;
}
