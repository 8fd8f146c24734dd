import type { Trap } from "../trap.ts";
import { readRange } from "./reading.ts";
import { type FirstRange, hasFirstRange, type StreamSubject } from "./subject.ts";

/** Partitions that overlap, are no JSON, or have other rows when they are read again. */
export const FIRST_RANGE: Trap<StreamSubject, StreamSubject & FirstRange> = {
  code: "READ_NOT_REPEATABLE",
  applies: hasFirstRange,
  async run(stream) {
    const ab = await readRange(stream, stream.start, stream.b);
    if (ab !== undefined) stream.ab = ab;
    return ab !== undefined;
  },
};
