import { MillraceError } from "../contract/errors.ts";
import { type Offset, sameOffset } from "../contract/offset.ts";
import { checkPartitions } from "./partitions-file.ts";
import type { Sessions } from "./sessions/open-sessions.ts";
import type { Planner } from "./sessions/planner.ts";

/**
 * Tries an offset that a person gives on the source's reader, and returns it as the reader writes
 * it. A reader without `deserializeOffset` is asked what the next run would ask it: the end of the
 * batch that begins there, and its partitions. Nothing is recorded, and no partition is read.
 * Throws `OFFSET_UNREADABLE`, and the error of a source that cannot be asked now.
 */
export async function tryOffset({ source, pipeline }: Sessions, given: Offset): Promise<Offset> {
  const where = { pipeline: pipeline.name };
  if (pipeline.saveMode !== undefined) {
    throw new MillraceError("OFFSET_UNREADABLE", "a batch pipeline reads all rows, and has no offsets", {
      where,
      hint: "Nothing was changed. Run it again: each run is a batch of its own.",
    });
  }
  const planner = await source.planner();
  try {
    const read = await planner.deserializeOffset(given);
    if (read !== undefined) return read;
    await planFrom(planner, given);
    return given;
  } catch (error) {
    // A source that cannot be asked now says nothing about the offset.
    if (!MillraceError.is(error) || error.retryable) throw error;
    throw new MillraceError(
      "OFFSET_UNREADABLE",
      `the source cannot go on at ${JSON.stringify(given)}: ${error.message}`,
      {
        where: { ...error.where, ...where },
        hint: `The offset stays as it was. \`millrace status ${pipeline.name}\` shows one that the source can read. To set this one all the same: --unchecked.`,
        cause: error.cause ?? error,
      },
    );
  }
}

async function planFrom(planner: Planner, start: Offset): Promise<void> {
  const limit = await planner.defaultReadLimit();
  const { end } = await planner.latestOffset(start, limit);
  if (sameOffset(start, end)) return;
  checkPartitions(await planner.partitions(start, end), Number.POSITIVE_INFINITY);
}
