import type { SaveMode } from "./batch-writer.ts";
import { parseDuration } from "./duration.ts";
import { MillraceError } from "./errors.ts";

/**
 * When a run executes batches. `once`: one batch. `availableNow`: batches until all data is read
 * that existed at the start of the run. `processingTime`: one batch per interval, such as `"10
 * seconds"`, until the run is stopped. (Spark: `DataStreamWriter.trigger`.)
 */
export type Trigger =
  | { readonly once: true; readonly availableNow?: never; readonly processingTime?: never }
  | { readonly availableNow: true; readonly once?: never; readonly processingTime?: never }
  | { readonly processingTime: string; readonly once?: never; readonly availableNow?: never };

/** The settings of a pipeline from which its trigger follows. */
export interface TriggeredPipeline {
  readonly name: string;
  readonly saveMode?: SaveMode;
  readonly triggered?: Trigger;
}

const SHORTEST_INTERVAL_MILLISECONDS = 100;

/**
 * Returns the trigger of a run: `asked` if it is given, otherwise the pipeline's own. A batch
 * pipeline always runs `once`. Throws `TRIGGER_INVALID`.
 */
export function triggerOf(
  { name, saveMode, triggered }: TriggeredPipeline,
  asked: Trigger | undefined,
): Trigger {
  if (saveMode === undefined) return asked ?? triggered ?? { availableNow: true };
  if (asked === undefined || "once" in asked) return { once: true };
  throw new MillraceError(
    "TRIGGER_INVALID",
    `pipeline "${name}" is a batch: it has no ${Object.keys(asked).join()}`,
    {
      where: { pipeline: name },
      hint: "Leave the trigger out: each run is one batch. What is new, again and again, is read by readStream.",
    },
  );
}

/**
 * Returns the milliseconds between two plans of one run, or `undefined` for a trigger without an
 * interval.
 */
export function intervalOf(trigger: Trigger): number | undefined {
  return "processingTime" in trigger ? parseDuration(trigger.processingTime) : undefined;
}

/** The three kinds of triggers. */
export type TriggerKind = "once" | "availableNow" | "processingTime";

export function triggerKind(trigger: Trigger): TriggerKind {
  if ("once" in trigger) return "once";
  return "availableNow" in trigger ? "availableNow" : "processingTime";
}

/** Returns `trigger` if it is valid. Throws `TRIGGER_INVALID` or `DURATION_INVALID`. */
export function checkTrigger(trigger: Trigger): Trigger {
  const kinds: Readonly<Record<string, unknown>> = trigger;
  const set = ["once", "availableNow", "processingTime"].filter((kind) => kinds[kind] !== undefined);
  const isFlag = kinds["once"] === true || kinds["availableNow"] === true;
  if (set.length === 1 && trigger.processingTime !== undefined) {
    if (parseDuration(trigger.processingTime) < SHORTEST_INTERVAL_MILLISECONDS) {
      throw new MillraceError("TRIGGER_INVALID", `an interval of ${trigger.processingTime} is too short`, {
        hint: "Choose 100ms or more: each interval asks the source and writes to the ledger.",
      });
    }
    return trigger;
  }
  if (set.length === 1 && isFlag) return trigger;
  throw new MillraceError(
    "TRIGGER_INVALID",
    "a trigger must be one, and only one, of once, availableNow, processingTime",
    {
      hint: 'Write .trigger({ availableNow: true }), .trigger({ once: true }) or .trigger({ processingTime: "10 seconds" }).',
    },
  );
}
