import { always, type Trap } from "../trap.ts";
import type { StreamSubject } from "./subject.ts";

/** Detects a `getDefaultReadLimit` that throws. */
export const READ_LIMIT: Trap<StreamSubject> = {
  code: "READ_LIMIT_INVALID",
  applies: always,
  async run(stream) {
    await stream.findings.check("getDefaultReadLimit()", async () => {
      stream.limit = await (await stream.make()).getDefaultReadLimit();
    });
    return true;
  },
};
