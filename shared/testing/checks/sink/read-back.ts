import { always, type Trap } from "../trap.ts";
import { countRows, type SinkSubject } from "./subject.ts";

/**
 * Detects a target that `readBack` cannot read. On success, stores the number of rows that the
 * target has before the check writes to it.
 */
export const READ_BACK: Trap<SinkSubject> = {
  code: "SINK_NOT_VERIFIED",
  applies: always,
  async run(sink) {
    return await sink.findings.check("readBack() before anything is written", async () => {
      sink.expected = (await countRows(sink)) ?? 0;
    });
  },
};
