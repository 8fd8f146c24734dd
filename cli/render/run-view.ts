import { runtime } from "../../local/home.ts";
import type { Runtime } from "../../shared/contract/context.ts";
import type { TriggerKind } from "../../shared/contract/trigger.ts";
import type { RunEvent } from "../../shared/engine/ports/run-events.ts";
import { describeEvent } from "./event.ts";
import { fitTable } from "./fit-table.ts";
import { printJson, printLine, statusLine, styled, type Text, tellLine } from "./terminal.ts";
import {
  formatBytes,
  formatCount,
  formatDay,
  formatDuration,
  formatOffset,
  formatRate,
  formatTimeOfDay,
} from "./text.ts";

/**
 * Shows a run while it is active. Progress goes to stderr; the result, a table of batches, goes to
 * stdout.
 */
export interface RunView {
  show(event: RunEvent): void;
}

/** Returns a view with text for people or, with `--json`, JSON for programs. */
export function viewOf(flags: { readonly json?: boolean }): RunView {
  return flags.json ? { show: printJson } : new TextView(runtime);
}

/** How many batches the table of a run that stays has. */
const NEWEST = 20;

type BatchEvent = Extract<RunEvent, { type: "batch" }>;
type PartitionEvent = Extract<RunEvent, { type: "partition" }>;

/**
 * Prints lines for people. On a terminal it also shows a progress bar for the current batch. Lines
 * of a run that stays begin with the time of day, and each day begins with a line of its own.
 */
export class TextView implements RunView {
  readonly #clock: Pick<Runtime, "now" | "monotonic">;
  /** The last `idle` or `paused` event. It is repeated at each interval but shown only once. */
  #waiting = "";
  /** What retries have said. It is not said again, because the last error says it, too. */
  readonly #said = new Set<string>();
  /** The last error that the run waits for. Its hint is shown only once. */
  #failure = "";
  #stays = false;
  #day = "";
  /** The batches for the table at the end. */
  readonly #batches: BatchEvent[] = [];
  #batchStartedAt = 0;
  #lastDrawn = 0;
  #hasBar = false;
  /** The latest events of running partitions, which are emitted after a second. */
  readonly #running = new Map<number, PartitionEvent>();

  constructor(clock: Pick<Runtime, "now" | "monotonic">) {
    this.#clock = clock;
  }

  show(event: RunEvent): void {
    const waiting = waitingText(event);
    if (waiting === "" || waiting !== this.#waiting) this.#showEvent(event);
    this.#waiting = waiting;
  }

  #showEvent(event: RunEvent): void {
    this.#remember(event);
    const said = this.#unlessSaid(event);
    const lines = describeEvent(said.type === "waiting" ? this.#onceHinted(said) : said);
    if (lines !== undefined) this.#line(lines);
    if (event.type === "progress") this.#drawBar(event);
    if (event.type !== "ended") return;
    this.#clearBar();
    if (this.#batches.length > 0) printLine(resultTable(this.#batches));
  }

  #onceHinted(event: Extract<RunEvent, { type: "waiting" }>): RunEvent {
    const { hint: _hint, ...error } = event.error;
    const failure = `${error.code} ${error.message}`;
    const isKnown = failure === this.#failure;
    this.#failure = failure;
    return isKnown ? { ...event, error } : event;
  }

  /** Shortens a retry for a reason that another one had. */
  #unlessSaid(event: RunEvent): RunEvent {
    if (event.type !== "retry") return event;
    const reason = event.cause ?? event.error.message;
    if (this.#said.has(reason)) return { ...event, cause: "as before" };
    this.#said.add(reason);
    return event;
  }

  /** Stores the data for the progress bar and the table. */
  #remember(event: RunEvent): void {
    switch (event.type) {
      case "started":
        this.#stays = event.trigger === ("processingTime" satisfies TriggerKind);
        break;
      case "idle":
        this.#failure = "";
        break;
      case "exchanged":
      case "planned":
        this.#batchStartedAt = this.#clock.monotonic();
        this.#running.clear();
        break;
      case "partition":
        if (event.state === "running") this.#running.set(event.partition, event);
        else this.#running.delete(event.partition);
        break;
      case "retry":
        this.#running.delete(event.error.where.partition ?? -1);
        break;
      case "batch":
        if (event.state === "committed") this.#failure = "";
        this.#batches.push(event);
        if (this.#stays && this.#batches.length > NEWEST) this.#batches.shift();
        break;
    }
  }

  #line(text: Text): void {
    this.#clearBar();
    tellLine(this.#stays ? [this.#time(), text] : text);
  }

  /** Returns the time of day, after the day if that is another one than before. */
  #time(): Text {
    const now = this.#clock.now();
    const day = formatDay(now);
    const isNew = day !== this.#day;
    this.#day = day;
    return [styled("dim", `${isNew ? `${day}\n` : ""}${formatTimeOfDay(now)}`), " "];
  }

  #drawBar(event: Extract<RunEvent, { type: "progress" }>): void {
    const now = this.#clock.monotonic();
    const isDone = event.partitionsDone === event.partitions;
    if (!statusLine.isShown || (!isDone && now - this.#lastDrawn < 80)) return;
    this.#lastDrawn = now;
    const width = 24;
    const filled = Math.round((width * event.partitionsDone) / event.partitions);
    const bar = [styled("green", "█".repeat(filled)), styled("dim", "░".repeat(width - filled))];
    const rate = Math.round(event.rows / Math.max(0.001, (now - this.#batchStartedAt) / 1000));
    const figures = ` ${event.partitionsDone}/${event.partitions} partitions  ${formatCount(event.rows)} rows  ${formatCount(rate)} rows/s`;
    const slowest = this.#slowest();
    const room = statusLine.width - width - figures.length;
    statusLine.draw([bar, figures, slowest.length < room ? slowest : ""]);
    this.#hasBar = true;
  }

  /** Formats the running partition with the fewest rows per second. */
  #slowest(): string {
    const [slowest] = [...this.#running.values()].sort((a, b) => a.rowsPerSecond - b.rowsPerSecond);
    if (slowest === undefined) return "";
    return `  slowest: partition ${slowest.partition}, ${formatRate(slowest.rowsPerSecond)} rows/s`;
  }

  #clearBar(): void {
    if (!this.#hasBar) return;
    statusLine.clear();
    this.#hasBar = false;
  }
}

/** Returns the text by which an event that is repeated at each interval is known. */
function waitingText(event: RunEvent): string {
  if (event.type === "idle") return JSON.stringify(event);
  if (event.type !== "paused") return "";
  const { error: _error, cause: _cause, ...pause } = event;
  return JSON.stringify(pause);
}

/** Formats the batches of a run as a table. */
function resultTable(batches: readonly BatchEvent[]): string {
  return fitTable(
    ["batch", "from", "to", "partitions", "rows", "bytes", "time", "state"],
    batches.map((batch) => [
      String(batch.batchId),
      formatOffset(batch.start),
      formatOffset(batch.end),
      String(batch.partitions),
      formatCount(batch.rows),
      formatBytes(batch.bytes),
      formatDuration(batch.milliseconds),
      batch.state,
    ]),
    { cut: ["from", "to"], drop: ["partitions", "bytes"] },
  );
}
