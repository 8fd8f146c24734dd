import type { Trap } from "../trap.ts";
import { compareAfterCommit } from "./compare.ts";
import { readRange } from "./reading.ts";
import type { ReadRange, StreamSubject } from "./subject.ts";

type Ready = StreamSubject & { readonly bc: ReadRange };

/** Detects a `commit(end)` that also releases rows after `end`. */
export const COMMIT: Trap<StreamSubject, Ready> = {
  code: "COMMIT_FORGETS_TOO_MUCH",
  applies: (stream): stream is Ready => stream.bc !== undefined,
  async run(stream) {
    const { start: b, end: c, partitions: before } = stream.bc;
    const isCommitted = await stream.findings.check("commit(b) twice", async () => {
      const reader = await stream.make();
      await reader.commit(b);
      await reader.commit(b);
      await (await stream.make()).commit(b);
    });
    const after = isCommitted ? await readRange(stream, b, c) : undefined;
    if (after !== undefined) compareAfterCommit(stream, before.flat(), after.partitions.flat(), [b, c]);
    return true;
  },
};
