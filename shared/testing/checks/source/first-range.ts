import type { Trap } from "../trap.ts";
import { readRange } from "./reading.ts";
import { type FirstRange, hasFirstRange, type StreamSubject } from "./subject.ts";

/**
 * Detects partitions that overlap, are not JSON, or return other rows when they are read again. On
 * success, stores the rows of the first range in the subject.
 */
export const FIRST_RANGE: Trap<StreamSubject, StreamSubject & FirstRange> = {
  code: "READ_NOT_REPEATABLE",
  applies: hasFirstRange,
  async run(stream) {
    const ab = await readRange(stream, stream.start, stream.b);
    if (ab !== undefined) stream.ab = ab;
    return ab !== undefined;
  },
};
