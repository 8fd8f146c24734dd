import { MillraceError } from "../../../contract/errors.ts";
import type { SupportsCommitLookup } from "../../../contract/stream-writer.ts";
import { always, type Trap } from "../trap.ts";
import { attemptOf, batchOf, type SinkSubject } from "./subject.ts";

/** Detects a `hasCommitted` that returns the wrong result. */
export const COMMIT_LOOKUP: Trap<SinkSubject> = {
  code: "COMMIT_LOOKUP_WRONG",
  applies: always,
  async run(sink) {
    await sink.findings.check("hasCommitted()", async () => {
      const writer = (await sink.factory.make(sink.schema, false)) as Partial<SupportsCommitLookup>;
      if (writer.hasCommitted === undefined) {
        sink.findings.skip(
          "hasCommitted(): the sink has none; after a failed commit() it gets abort(), as in Spark",
        );
        return;
      }
      // Batch 0 is committed and batch 1 is not.
      for (const [id, expected] of [true, false].entries()) {
        const found = await writer.hasCommitted(id, batchOf(sink, attemptOf(sink, id), true));
        if (found !== expected) throw wrongLookup(id, found, expected);
      }
    });
    return true;
  },
};

function wrongLookup(id: number, found: boolean, expected: boolean): MillraceError {
  return new MillraceError(
    "COMMIT_LOOKUP_WRONG",
    `hasCommitted(${id}) gave ${found}, where it should be ${expected}`,
    {
      hint: "A wrong yes loses the batch, a wrong no replays it: read it back from what commit() writes, by incarnation and batch id.",
    },
  );
}
