import { runtime } from "../../local/home.ts";
import type { RunEvent } from "../../shared/engine/ports/run-events.ts";
import { describeEvent } from "./event.ts";
import { fitTable } from "./fit-table.ts";
import { printJson, printLine, statusLine, styled, type Text, tellLine } from "./terminal.ts";
import { formatBytes, formatCount, formatDuration, formatOffset, formatRate } from "./text.ts";

/**
 * Shows a run while it is active. Progress goes to stderr; the result, a table of batches, goes to
 * stdout.
 */
export interface RunView {
  show(event: RunEvent): void;
}

/** Returns a view with text for people or, with `--json`, JSON for programs. */
export function viewOf(flags: { readonly json?: boolean }): RunView {
  return flags.json ? { show: printJson } : new TextView(runtime.monotonic);
}

type BatchEvent = Extract<RunEvent, { type: "batch" }>;
type PartitionEvent = Extract<RunEvent, { type: "partition" }>;

/** Prints lines for people. On a terminal it also shows a progress bar for the current batch. */
class TextView implements RunView {
  readonly #monotonic: () => number;
  /** The last `idle` or `paused` event. It is repeated at each interval but shown only once. */
  #waiting = "";
  /** What retries have said. It is not said again, because the last error says it, too. */
  readonly #said = new Set<string>();
  readonly #batches: BatchEvent[] = [];
  #batchStartedAt = 0;
  #lastDrawn = 0;
  #hasBar = false;
  /** The latest events of running partitions, which are emitted after a second. */
  readonly #running = new Map<number, PartitionEvent>();

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  show(event: RunEvent): void {
    const waiting = event.type === "idle" || event.type === "paused" ? JSON.stringify(event) : "";
    if (waiting === "" || waiting !== this.#waiting) this.#showEvent(event);
    this.#waiting = waiting;
  }

  #showEvent(event: RunEvent): void {
    this.#remember(event);
    const lines = describeEvent(this.#unlessSaid(event));
    if (lines !== undefined) this.#line(lines);
    if (event.type === "progress") this.#drawBar(event);
    if (event.type !== "ended") return;
    this.#clearBar();
    if (this.#batches.length > 0) printLine(resultTable(this.#batches));
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
      case "exchanged":
      case "planned":
        this.#batchStartedAt = this.#monotonic();
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
        this.#batches.push(event);
        break;
    }
  }

  #line(text: Text): void {
    this.#clearBar();
    tellLine(text);
  }

  #drawBar(event: Extract<RunEvent, { type: "progress" }>): void {
    const now = this.#monotonic();
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
