import { always, type Trap } from "../trap.ts";
import { stage } from "./calls.ts";
import { attemptOf, type SinkSubject } from "./subject.ts";

/**
 * Detects a writer that does not read all rows or returns an invalid message. On success, stores
 * the messages of a first batch in the subject.
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
