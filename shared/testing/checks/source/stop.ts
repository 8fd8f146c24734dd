import { always, type Trap } from "../trap.ts";
import type { StreamSubject } from "./subject.ts";

/** A reader that cannot be stopped, or not twice. */
export const STOP: Trap<StreamSubject> = {
  code: "SOURCE_FAILED",
  applies: always,
  async run(stream) {
    return await stream.findings.check("stop() twice", async () => {
      const reader = await stream.make();
      await reader.stop();
      await reader.stop();
    });
  },
};
