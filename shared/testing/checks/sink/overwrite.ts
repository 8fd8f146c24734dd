import { MillraceError } from "../../../contract/errors.ts";
import type { Trap } from "../trap.ts";
import { commit, stage } from "./calls.ts";
import { attemptOfNewLife, checkVisibleRows, ROWS_OF_BATCH, type SinkSubject } from "./subject.ts";
import { VISIBLE_HINT } from "./visible.ts";

/** Detects a batch with `overwrite` that keeps old rows or loses its own. */
export const OVERWRITE: Trap<SinkSubject> = {
  code: "OVERWRITE_INCOMPLETE",
  applies: (sink): sink is SinkSubject => sink.factory.kind === "batch",
  async run(sink) {
    const attempt = attemptOfNewLife(sink);
    if (!(await isSupported(sink))) return true;
    const messages = await stage(sink, attempt, "write() that overwrites", true);
    if (messages === undefined) return true;
    const when = "before commit() of a batch that overwrites";
    if (!(await checkVisibleRows(sink, "VISIBLE_BEFORE_COMMIT", when, VISIBLE_HINT))) return true;
    for (const what of ["commit() that overwrites", "commit() that overwrites, again"]) {
      if (!(await commit(sink, attempt, messages, what, { overwrite: true }))) return true;
      sink.expected = ROWS_OF_BATCH;
      await checkVisibleRows(
        sink,
        "OVERWRITE_INCOMPLETE",
        `after ${what}`,
        "With overwrite the batch takes the place of all rows, in one step.",
      );
    }
    return true;
  },
};

async function isSupported({ factory, schema, findings }: SinkSubject): Promise<boolean> {
  try {
    await factory.make(schema, true);
    return true;
  } catch (error) {
    const isKnown = MillraceError.is(error) && error.code === "NOT_SUPPORTED";
    const message = error instanceof Error ? error.message : String(error);
    findings.skip(
      isKnown
        ? "overwrite: the sink does not support it"
        : `overwrite: the sink refuses overwrite: ${message}`,
    );
    return false;
  }
}
