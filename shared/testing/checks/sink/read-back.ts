import { always, type Trap } from "../trap.ts";
import { countRows, type SinkSubject } from "./subject.ts";

/** A target that cannot be read; else finds out what it has before anything is written. */
export const READ_BACK: Trap<SinkSubject> = {
  code: "SINK_NOT_VERIFIED",
  applies: always,
  async run(sink) {
    return await sink.findings.check("readBack() before anything is written", async () => {
      sink.expected = (await countRows(sink)) ?? 0;
    });
  },
};
