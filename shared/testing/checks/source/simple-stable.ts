import { type Offset, sameOffset } from "../../../contract/offset.ts";
import { surplus } from "../../rows.ts";
import type { Trap } from "../trap.ts";
import { compareReplay } from "./compare.ts";
import { readSimple } from "./simple-reading.ts";
import { checkStable, noteLag, notStable } from "./stable.ts";
import { hasStart, type SimpleRange, type SimpleSubject, type Started } from "./subject.ts";

/** Detects a `read` that returns another end or other rows when it is repeated at the same time. */
export const STABLE_READ: Trap<SimpleSubject, SimpleSubject & Started> = {
  code: "OFFSET_NOT_STABLE",
  applies: hasStart,
  async run(simple) {
    return await simple.findings.check("read(start) twice at one instant", () =>
      checkReadStable(simple, simple.start),
    );
  },
};

/**
 * Reads from `start` repeatedly. If the source grows in the meantime, a later read may have more
 * rows but must have all earlier ones.
 */
async function checkReadStable(simple: SimpleSubject, start: Offset): Promise<void> {
  const reads: SimpleRange[] = [];
  const ask = async () => {
    const read = await readSimple(simple, start);
    reads.push(read);
    return read.end;
  };
  const isStable = await checkStable(simple, "read(start)", ask);
  if (!isStable && reads.every(({ rows }) => rows.length === 0))
    throw notStable(
      "read(start), asked again and again, gave no rows, but each time another offset",
      "Give the start itself where there is nothing.",
    );
  const [first, ...others] = reads;
  if (first === undefined) return;
  for (const again of others) {
    const hasGrown = !sameOffset(first.end, again.end);
    if (hasGrown && surplus(first.rows, again.rows).length === 0) continue;
    if (!compareReplay(simple, "read(start)", first.rows, again.rows)) break;
  }
  if (isStable) await noteLag(simple, start, ask);
}
