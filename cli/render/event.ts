import type { ErrorRecord } from "../../shared/contract/errors.ts";
import type { RunEvent } from "../../shared/engine/ports/run-events.ts";
import { printable, styled, type Text } from "./terminal.ts";
import {
  describeAction,
  formatBytes,
  formatDuration,
  formatOffset,
  formatTimeOfDay,
  plural,
} from "./text.ts";

type Of<Type extends RunEvent["type"]> = Extract<RunEvent, { readonly type: Type }>;

/** Formats an event for people. Returns `undefined` for events that are not printed as lines. */
export function describeEvent(event: RunEvent): Text | undefined {
  switch (event.type) {
    case "started":
      return describeStarted(event);
    case "planned":
      return describePlanned(event);
    case "exchanged":
      return describeExchanged(event);
    case "stalled":
      return [
        styled("yellow", `stalled: partition ${event.where.partition}:`),
        ` ${printable(event.message)}`,
      ];
    case "speculation":
      return describeSpeculation(event);
    case "retry":
      return describeRetry(event);
    case "warning":
      return describeWarning(event);
    case "batch":
      return describeBatch(event);
    case "idle":
      return event.targetExists ? "the target is there already: nothing was read or written" : "nothing new";
    case "waiting":
      return describeWaiting(event);
    case "paused":
      return describePaused(event);
    case "interrupted":
      return describeInterrupted(event);
    case "progress":
    case "partition":
    case "batchProgress":
    case "ended":
      return undefined;
  }
}

function describeStarted(event: Of<"started">): Text {
  const place = event.home ?? `stack ${event.stack}, execution ${event.execution}`;
  return [styled("bold", event.pipeline), ` (${event.trigger}) in ${printable(place)}`];
}

function describePlanned(event: Of<"planned">): string {
  const { batchId, attempt, start, end } = event;
  const again = attempt > 1 ? `, attempt ${attempt}` : event.resumed ? ", resumed" : "";
  const all = plural(event.partitions, "partition");
  const todo = event.todo === event.partitions ? all : `${event.todo} of ${all}`;
  return `batch ${batchId}${again}: ${formatOffset(start)} → ${formatOffset(end)}, ${todo} to ${event.exchanges ? "exchange" : "write"}`;
}

function describeExchanged({ batchId, partitions, todo }: Of<"exchanged">): string {
  const all = plural(partitions, "partition");
  return `batch ${batchId}: rows exchanged, ${todo === partitions ? all : `${todo} of ${all}`} to write`;
}

function describeSpeculation({ partition, attemptNumber, milliseconds }: Of<"speculation">): Text {
  const attempt = `attempt ${attemptNumber} runs beside the one that has taken`;
  return [styled("yellow", `slow: partition ${partition}: `), `${attempt} ${formatDuration(milliseconds)}`];
}

function describeRetry({ delay, goesOn, error, cause }: Of<"retry">): Text {
  const next = goesOn === undefined ? `retry in ${formatDuration(delay)}` : `attempt ${goesOn} goes on`;
  const again = `${next}: partition ${error.where.partition}: `;
  return [styled("yellow", again), printable(cause ?? error.message)];
}

function describeWarning({ error }: Of<"warning">): Text {
  const hint = error.hint === undefined ? "" : `\n  ${printable(error.hint)}`;
  return [styled("yellow", `warning ${error.code}: `), printable(error.message), hint];
}

function describeWaiting({ error, cause, failures, at }: Of<"waiting">): Text {
  const again = failures === 1 ? "" : ` (${plural(failures, "failure")} in a row)`;
  return [describeFailure(error, cause), `\n  tries again at ${formatTimeOfDay(at)}${again}`];
}

function describeFailure({ code, message, hint }: ErrorRecord, cause: string | undefined): Text {
  const what = cause === undefined ? message : `${message}: ${cause}`;
  const advice = hint === undefined ? "" : `\n  ${printable(hint)}`;
  return [styled("red", `failed ${code}: `), printable(what), advice];
}

function describePaused({ error, cause, ...pause }: Of<"paused">): Text {
  const failure = error === undefined ? "" : [describeFailure(error, cause), "\n"];
  const text = ` ${describeAction(pause)}: nothing is done until it is resumed`;
  return [failure, styled("yellow", "paused"), text];
}

function describeBatch({ batchId, state, rows, bytes, bad, milliseconds, metrics = {} }: Of<"batch">): Text {
  const mark = styled(state === "committed" ? "green" : "red", state);
  const amount = `${plural(rows, "row")}, ${formatBytes(bytes)}`;
  const reported = Object.entries(metrics).map(
    ([name, value]) => `, ${printable(name)}: ${printable(value)}`,
  );
  const left =
    bad === undefined ? "" : `, ${plural(bad.rows, "bad row")} ${bad.isKept ? "in quarantine" : "dropped"}`;
  return [
    `batch ${batchId} `,
    mark,
    `: ${amount} in ${formatDuration(milliseconds)}${left}${reported.join("")}`,
  ];
}

function describeInterrupted({ openBatchId }: Of<"interrupted">): string {
  const open = openBatchId === undefined ? "" : `; batch ${openBatchId} goes on with the next run`;
  return `interrupted${open}`;
}
