/** The range of a backfill: it contains `from` but not `to`. */
export interface BackfillRange {
  /** The first bound: ISO 8601 in UTC, or a whole number. */
  readonly from: string;
  /** The bound at which it ends. */
  readonly to: string;
  /** How much one batch covers: a duration, or a whole number. */
  readonly chunk: string;
}

/** A pipeline that reads one range of another pipeline's source into the same sink. */
export interface BackfillOf {
  /** Name of the other pipeline. */
  readonly pipeline: string;
  /** Absent in a task, which only reads a partition that is planned. */
  readonly range?: BackfillRange;
}

/** Divides the name of a backfill. No pipeline's own name can have it. */
export const BACKFILL_MARK = "@";

/**
 * Returns the name of a backfill, such as `orders@2026-01-01_2026-02-10`. `repetition` is 2 for the
 * first one that repeats the range.
 */
export function backfillName(
  pipeline: string,
  { from, to }: Pick<BackfillRange, "from" | "to">,
  repetition: number = 1,
): string {
  const again = repetition === 1 ? "" : `_${repetition}`;
  return `${pipeline}${BACKFILL_MARK}${short(from)}_${short(to)}${again}`;
}

/** Returns the `repetition` in the name of a backfill. */
export function repetitionOf(name: string): number {
  const [, , repetition = "1"] = name.slice(name.indexOf(BACKFILL_MARK)).split("_");
  return Number(repetition);
}

/** Writes a bound with characters that file systems, S3 and shells take as they are. */
function short(bound: string): string {
  return bound
    .replace(/T00:00:00\.000Z$/, "")
    .replace(/\.000Z$/, "Z")
    .replaceAll(":", "")
    .replace(".", "-");
}

/** Returns the name of the pipeline that a backfill belongs to; `undefined` for any other name. */
export function pipelineOfBackfill(name: string): string | undefined {
  const at = name.indexOf(BACKFILL_MARK);
  return at < 0 ? undefined : name.slice(0, at);
}

/** Returns the name of the pipeline to which the name belongs: its own, if it is no backfill. */
export function liveName(name: string): string {
  return pipelineOfBackfill(name) ?? name;
}
