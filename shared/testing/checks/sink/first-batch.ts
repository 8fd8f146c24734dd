import { always, type Trap } from "../trap.ts";
import { stage } from "./calls.ts";
import { attemptOf, type SinkSubject } from "./subject.ts";

/**
 * A writer that leaves rows, or whose message is lost on its way; else finds the messages of a
 * batch.
 */
export const FIRST_BATCH: Trap<SinkSubject> = {
  code: "ROWS_NOT_CONSUMED",
  applies: always,
  async run(sink) {
    const messages = await stage(sink, attemptOf(sink, 0), "write() of a batch of two partitions");
    if (messages !== undefined) sink.messages = messages;
    return messages !== undefined;
  },
};
