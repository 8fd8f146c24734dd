import type { JsonValue } from "../../../contract/json.ts";
import { throughJson } from "../../through-json.ts";
import type { Trap } from "../trap.ts";
import { batches, commit, write } from "./calls.ts";
import {
  type Attempt,
  attemptOf,
  checkVisibleRows,
  isTable,
  type Messages,
  ROWS_OF_BATCH,
  rowsFor,
  type SinkSubject,
  type TableSubject,
  taskOf,
} from "./subject.ts";

const HINT =
  "abort() and close() of an attempt may only touch what this attempt wrote: put taskId, which no other attempt has, into its names, and commit only what the messages name.";

/**
 * Detects attempts of one task that touch each other's rows. One attempt commits. A second one,
 * which was denied, aborts and closes after that. Without coordination a third one commits as well,
 * and its message does not count.
 */
export const ATTEMPTS: Trap<SinkSubject, TableSubject> = {
  code: "TASK_NOT_ISOLATED",
  applies: isTable,
  async run(sink) {
    const attempt = attemptOf(sink, 1, 2);
    const messages = await stageOfThree(sink, attempt);
    if (messages === undefined) return true;
    const what = "commit() of a batch of which one task had several attempts";
    if (!(await commit(sink, attempt, messages, what))) return true;
    sink.expected += ROWS_OF_BATCH;
    const surplus = ": an attempt that does not count has its rows there";
    await checkVisibleRows(sink, "TASK_NOT_ISOLATED", `after ${what}`, HINT, surplus);
    return true;
  },
};

async function stageOfThree(sink: TableSubject, attempt: Attempt): Promise<Messages | undefined> {
  const { access } = sink.factory;
  const rows = rowsFor(sink, attempt, 0);
  let messages: Messages | undefined;
  await sink.findings.check("several attempts of one task at once", async () => {
    const isCoordinated = await access.isCoordinated(sink.schema, attempt);
    const [denied, winner, late] = await Promise.all(
      [0, 1, 2].map(async (attemptNumber) => {
        const begun = await access.begin(sink.schema, taskOf(sink, attempt, 0, attemptNumber));
        await begun.writeAll(batches(sink.schema, rows));
        return begun;
      }),
    );
    const message = throughJson(((await winner?.commit()) ?? null) as JsonValue);
    await winner?.close();
    await denied?.abandon();
    if (isCoordinated) await late?.abandon();
    else {
      await late?.commit();
      await late?.close();
    }
    messages = [message, await write(sink, attempt, 1)];
  });
  return messages;
}
