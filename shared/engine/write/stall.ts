import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import type { JsonValue } from "../../contract/json.ts";
import type { PlannedTask } from "../partitions-file.ts";
import type { StalledTask } from "../ports/run-events.ts";
import { clipped, clippedText } from "../progress.ts";
import type { TaskFigures } from "./watch.ts";

export function stalledTask(
  where: ErrorLocation,
  { partition = null, start, end }: PlannedTask,
  figures: TaskFigures,
  fails: boolean,
): StalledTask {
  const { waitsFor, rows, bytes, reportedAt, progressedAt } = figures;
  const milliseconds = reportedAt - progressedAt;
  const value = partition as JsonValue;
  const nothing = waitsFor === "source" ? "the source has given nothing" : "the sink has taken nothing";
  const offsets = start === undefined ? "" : `, offsets ${clippedText(start)} to ${clippedText(end)}`;
  return {
    where,
    waitsFor,
    milliseconds,
    rows,
    bytes,
    value: clipped(value),
    ...(start === undefined ? {} : { start: clipped(start) }),
    ...(end === undefined ? {} : { end: clipped(end) }),
    fails,
    message: `${nothing} for ${Math.round(milliseconds / 1000)} s, after ${rows} rows of the partition ${clippedText(value)}${offsets}`,
  };
}

/**
 * The error of a task that fails because it stalled. It is retryable, because the source or the
 * sink may recover.
 */
export function stalledError(stalled: StalledTask): MillraceError {
  const { waitsFor, where, message } = stalled;
  return new MillraceError("PARTITION_STALLED", message, {
    where,
    retryable: true,
    hint:
      waitsFor === "source"
        ? "Look whether the source answers, and give what read() waits for a time limit. Raise stallAfter where it is only slow."
        : "Look whether the sink answers, and give what write() waits for a time limit. Raise stallAfter where it is only slow.",
  });
}
