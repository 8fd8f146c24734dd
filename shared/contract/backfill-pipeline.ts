import type { BackfillOf, BackfillRange } from "./backfill.ts";
import type { Pipeline } from "./pipeline.ts";

/**
 * Returns the pipeline of a backfill: the same in all but its name, which part of the source it
 * reads, and when its runs end. It is cloned without the constructor, because that of an older copy
 * of the package would drop what it does not know.
 */
export function asBackfill(pipeline: Pipeline, name: string, range?: BackfillRange): Pipeline {
  const backfill: BackfillOf = { pipeline: pipeline.name, ...(range === undefined ? {} : { range }) };
  const changed = { name, backfill, triggered: { availableNow: true as const } };
  return Object.assign(
    Object.create(Object.getPrototypeOf(pipeline) as object) as Pipeline,
    pipeline,
    changed,
  );
}
