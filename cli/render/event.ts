import type { RunEvent } from "../../shared/engine/ports/run-events.ts";
import {
  describeAction,
  formatBytes,
  formatDuration,
  formatOffset,
  plural,
  printable,
  type Style,
  styled,
} from "./text.ts";

type Of<Type extends RunEvent["type"]> = Extract<RunEvent, { readonly type: Type }>;
type Colour = (style: Style, text: string) => string;

/** Formats an event for people. Returns `undefined` for events that are not printed as lines. */
export function describeEvent(event: RunEvent, stream: NodeJS.WriteStream): string | undefined {
  const colour: Colour = (style, text) => styled(style, text, stream);
  switch (event.type) {
    case "started":
      return describeStarted(event, colour);
    case "planned":
      return describePlanned(event);
    case "stalled":
      return `${colour("yellow", `stalled: partition ${event.where.partition}:`)} ${printable(event.message)}`;
    case "retry":
      return describeRetry(event, colour);
    case "warning":
      return describeWarning(event, colour);
    case "batch":
      return describeBatch(event, colour);
    case "idle":
      return event.targetExists ? "the target is there already: nothing was read or written" : "nothing new";
    case "paused":
      return `${colour("yellow", "paused")} ${describeAction(event)}: nothing is done until it is resumed`;
    case "interrupted":
      return describeInterrupted(event);
    case "progress":
    case "partition":
    case "batchProgress":
    case "ended":
      return undefined;
  }
}

function describeStarted(event: Of<"started">, colour: Colour): string {
  const place = event.home ?? `stack ${event.stack}, execution ${event.execution}`;
  return `${colour("bold", event.pipeline)} (${event.trigger}) in ${place}`;
}

function describePlanned(event: Of<"planned">): string {
  const { batchId, attempt, start, end } = event;
  const again = attempt > 1 ? `, attempt ${attempt}` : event.resumed ? ", resumed" : "";
  const all = plural(event.partitions, "partition");
  const todo = event.todo === event.partitions ? all : `${event.todo} of ${all}`;
  return `batch ${batchId}${again}: ${formatOffset(start)} → ${formatOffset(end)}, ${todo} to write`;
}

function describeRetry({ delay, error, cause }: Of<"retry">, colour: Colour): string {
  const again = `retry in ${formatDuration(delay)}: partition ${error.where.partition}: `;
  return colour("yellow", again) + printable(cause ?? error.message);
}

function describeWarning({ error }: Of<"warning">, colour: Colour): string {
  const warning = `${colour("yellow", `warning ${error.code}: `)}${printable(error.message)}`;
  return error.hint === undefined ? warning : `${warning}\n  ${printable(error.hint)}`;
}

function describeBatch({ batchId, state, rows, bytes, milliseconds }: Of<"batch">, colour: Colour): string {
  const mark = colour(state === "committed" ? "green" : "red", state);
  const amount = `${plural(rows, "row")}, ${formatBytes(bytes)}`;
  return `batch ${batchId} ${mark}: ${amount} in ${formatDuration(milliseconds)}`;
}

function describeInterrupted({ openBatchId }: Of<"interrupted">): string {
  const open = openBatchId === undefined ? "" : `; batch ${openBatchId} goes on with the next run`;
  return `interrupted${open}`;
}
