import { MillraceError } from "../../../contract/errors.ts";
import { type Offset, sameOffset } from "../../../contract/offset.ts";
import type { Trap } from "../trap.ts";
import { type FirstRange, hasFirstRange, type StreamSubject } from "./subject.ts";

/** Detects a `compareOffsets` that contradicts the order in which the offsets were returned. */
export const OFFSET_ORDER: Trap<StreamSubject, StreamSubject & FirstRange> = {
  code: "OFFSET_ORDER_WRONG",
  applies: hasFirstRange,
  async run(stream) {
    const { start, b, c = b } = stream;
    await stream.findings.check("compareOffsets()", async () => {
      const reader = await stream.make();
      if (reader.compareOffsets === undefined) return;
      for (const [x, y, expected] of [
        [start, start, 0],
        [start, b, -1],
        [b, start, 1],
        [b, c, sameOffset(b, c) ? 0 : -1],
        [start, c, -1],
      ] as const) {
        const found = reader.compareOffsets(x, y);
        if (Math.sign(found) !== expected) throw wrongOrder(x, y, found);
      }
    });
    return true;
  },
};

function wrongOrder(x: Offset, y: Offset, found: number): MillraceError {
  return new MillraceError(
    "OFFSET_ORDER_WRONG",
    `compareOffsets(${JSON.stringify(x)}, ${JSON.stringify(y)}) gave ${found}`,
    {
      hint: "Give a negative number where the first comes before the second, 0 where they are equal, else a positive one.",
    },
  );
}
