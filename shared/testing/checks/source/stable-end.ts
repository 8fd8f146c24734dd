import { checkOffset } from "../../../contract/offset.ts";
import type { Trap } from "../trap.ts";
import { checkStable, noteLag } from "./stable.ts";
import { hasStart, type Started, type StreamSubject } from "./subject.ts";

/** Detects a `latestOffset` that returns another end when it is repeated at the same time. */
export const STABLE_END: Trap<StreamSubject, StreamSubject & Started> = {
  code: "OFFSET_NOT_STABLE",
  applies: hasStart,
  async run(stream) {
    const { start, limit } = stream;
    const askEnd = async () =>
      checkOffset(await (await stream.make()).latestOffset(start, limit), "latestOffset()");
    return await stream.findings.check("latestOffset() twice at one instant", async () => {
      const reader = await stream.make();
      const compare = reader.compareOffsets?.bind(reader);
      if (await checkStable(stream, "latestOffset()", askEnd, compare)) await noteLag(stream, start, askEnd);
    });
  },
};
