import { always, type Trap } from "../trap.ts";
import type { StreamSubject } from "./subject.ts";

/** Detects a `stop` that fails, or fails when it is called twice. */
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
