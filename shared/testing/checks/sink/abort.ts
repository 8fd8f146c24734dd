import type { RecordBatch } from "apache-arrow";
import { recordBatchOf } from "../../../arrow/record-batches.ts";
import type { JsonValue } from "../../../contract/json.ts";
import { always, type Trap } from "../trap.ts";
import { abort, write, writeBatches } from "./calls.ts";
import { type Attempt, attemptOf, checkVisibleRows, rowsFor, type SinkSubject, taskOf } from "./subject.ts";

/** Detects an `abort` that leaves rows of its own batch or removes those of other batches. */
export const ABORT: Trap<SinkSubject> = {
  code: "ABORT_INCOMPLETE",
  applies: always,
  async run(sink) {
    const attempt = attemptOf(sink, 1);
    let message: JsonValue = null;
    const isWritten = await sink.findings.check("write() of a partition whose neighbour fails", async () => {
      message = await write(sink, attempt, 0);
    });
    if (!isWritten) return true;
    await failInside(sink, attempt);
    for (const [what, hint] of [
      [
        "abort() of a batch that failed half way",
        "abort(messages) must take away what its own batch staged, and touch nothing else. The message of a task that failed is null.",
      ],
      ["abort() again", "abort may be called again after a crash: what is gone already is fine."],
    ] as const) {
      if (await abort(sink, attempt, [message, null], what, hint))
        await checkVisibleRows(sink, "ABORT_INCOMPLETE", `after ${what}`, hint);
    }
    return true;
  },
};

/**
 * Writes a partition whose source fails after the first row. The writer may rethrow the error or
 * ignore it.
 */
async function failInside(sink: SinkSubject, attempt: Attempt): Promise<void> {
  const [row = {}] = rowsFor(sink, attempt, 1);
  async function* failing(): AsyncGenerator<RecordBatch> {
    yield recordBatchOf(sink.schema, [row]);
    throw new Error("the source failed, as the kit makes it");
  }
  try {
    await writeBatches(sink, failing(), taskOf(sink, attempt, 1));
  } catch {
    // The writer should rethrow the source's error.
  }
}
