import { always, type Trap } from "../trap.ts";
import type { StreamSubject } from "./subject.ts";

/** A default read limit that cannot be asked for. */
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
