import type { RecordBatch } from "apache-arrow";
import type { Runtime } from "../../contract/context.ts";
import { parseDuration } from "../../contract/duration.ts";
import type { PipelineDefinition, StallPolicy } from "../../contract/pipeline-definition.ts";
import type { RowSource } from "../../contract/stream-reader.ts";
import type { RunningTask } from "../ports/tasks.ts";

/** Time between two checks of a task. */
const CHECK_MILLISECONDS = 1000;
/** Time between two progress reports of a task. */
const REPORT_MILLISECONDS = 10_000;
const DEFAULT_POLICY: StallPolicy = { after: "5 minutes", fail: false };

/** Returns the stall policy of a run: `asked`, then the pipeline's policy, then the default. */
export function stallPolicyOf(
  { stall = DEFAULT_POLICY }: Pick<PipelineDefinition, "stall">,
  asked: Partial<StallPolicy> = {},
): StallPolicy {
  return { ...stall, ...asked };
}

/** Progress of a task, without the fields that identify it. */
export type TaskFigures = Omit<RunningTask, "partition" | "attemptNumber">;

export interface Watching {
  /** Stall limit, as a duration such as `"5 minutes"`. */
  readonly stallAfter: string;
  /** Called every ten seconds. */
  onReport(figures: TaskFigures): void;
  /** Called once per stall, and again only after rows have moved. */
  onStalled(figures: TaskFigures): void;
}

/**
 * Counts the rows of a task between source and sink and, after `begin`, detects when they stop
 * moving. A row moves when the source delivers it and when the sink takes it. Code that blocks the
 * event loop also blocks the watch.
 */
export class TaskWatch {
  /** Rows of the record batches that the sink received. */
  rows = 0;
  /** Bytes of Arrow data that the sink received. */
  bytes = 0;
  /** Rows that the source delivered. `undefined` if they go to the sink as they are. */
  rowsRead: number | undefined;
  readonly #runtime: Pick<Runtime, "now" | "monotonic" | "sleep">;
  readonly #ended = new AbortController();
  #waitsFor: RunningTask["waitsFor"] = "sink";
  /** Number of moves so far. Counting is cheaper than reading the clock for each row. */
  #moves = 0;
  #movesSeen = 0;
  /**
   * How often the source was asked for a row in total, and how often before the last record batch
   * was handed to the sink.
   */
  #sourceCalls = 0;
  #sourceCallsAtBatch = 0;
  /** These times are in the time of `Runtime.monotonic`. */
  readonly #startedAt: number;
  #progressedAt: number;
  #reportedAt: number;
  #isStalled = false;

  constructor(runtime: Pick<Runtime, "now" | "monotonic" | "sleep">) {
    this.#runtime = runtime;
    this.#startedAt = runtime.monotonic();
    this.#progressedAt = this.#startedAt;
    this.#reportedAt = this.#startedAt;
  }

  /** Watches the task until `end` is called. */
  begin(watching: Watching): void {
    const stallAfter = parseDuration(watching.stallAfter);
    const checkInterval = Math.min(CHECK_MILLISECONDS, stallAfter);
    const watch = async () => {
      for (;;) {
        await this.#runtime.sleep(checkInterval, this.#ended.signal);
        this.#check(watching, stallAfter);
      }
    };
    watch().catch(() => undefined);
  }

  end(): void {
    this.#ended.abort();
  }

  /**
   * Returns the same rows and counts each one that is asked for. A value that is not iterable is
   * returned unchanged, and its consumer throws the error.
   */
  watchRows(source: RowSource): RowSource {
    const onNext = () => {
      this.#sourceCalls++;
      this.#moves++;
    };
    if (typeof source !== "object" || source === null) return source;
    if (Symbol.asyncIterator in source)
      return { [Symbol.asyncIterator]: () => withOnNext(source[Symbol.asyncIterator](), onNext) };
    if (Symbol.iterator in source)
      return { [Symbol.iterator]: () => withOnNext(source[Symbol.iterator](), onNext) };
    return source;
  }

  /** Notes that the sink asked for the next record batch. */
  sinkAsks(): void {
    this.#moves++;
    this.#waitsFor = "source";
  }

  /** Notes that the sink received a record batch, or that there are no more. */
  sinkReceives(batch?: RecordBatch): void {
    this.#moves++;
    this.#waitsFor = "sink";
    this.rows += batch?.numRows ?? 0;
    this.bytes += batch?.data.byteLength ?? 0;
    this.#sourceCallsAtBatch = this.#sourceCalls;
  }

  /** Notes that the pipeline's steps received a record batch of the source. */
  stepsReceive(batch: RecordBatch): void {
    this.#moves++;
    this.rowsRead = (this.rowsRead ?? 0) + batch.numRows;
    this.#sourceCallsAtBatch = this.#sourceCalls;
  }

  /** Notes that a step or the sink took one row, or one record batch. */
  rowMoved(): void {
    this.#moves++;
  }

  #check(watching: Watching, stallAfter: number): void {
    const now = this.#runtime.monotonic();
    if (this.#moves !== this.#movesSeen) {
      this.#movesSeen = this.#moves;
      this.#progressedAt = now;
      this.#isStalled = false;
    } else if (!this.#isStalled && now - this.#progressedAt >= stallAfter) {
      this.#isStalled = true;
      watching.onStalled(this.#figures(now));
    }
    if (now - this.#reportedAt < REPORT_MILLISECONDS) return;
    this.#reportedAt = now;
    watching.onReport(this.#figures(now));
  }

  /**
   * Returns the figures with times of the system clock, computed back from its current time. So
   * their differences are right even if the system clock was corrected in between.
   */
  #figures(now: number): TaskFigures {
    const reportedAt = this.#runtime.now();
    // Rows that the source delivered and that do not fill a record batch yet. The last request to
    // the source is still open, so it does not count.
    const pending = Math.max(0, this.#sourceCalls - this.#sourceCallsAtBatch - 1);
    return {
      startedAt: reportedAt - (now - this.#startedAt),
      rows: (this.rowsRead ?? this.rows) + pending,
      bytes: this.bytes,
      waitsFor: this.#waitsFor,
      progressedAt: reportedAt - (now - this.#progressedAt),
      reportedAt,
    };
  }
}

/** Wraps an iterator so that `onNext` is called before each `next`. */
function withOnNext<I extends Iterator<unknown> | AsyncIterator<unknown>>(
  iterator: I,
  onNext: () => void,
): I {
  return {
    next() {
      onNext();
      return iterator.next();
    },
    // `return` is only defined if the original has it, because `for await` checks for it.
    ...(iterator.return === undefined ? {} : { return: () => iterator.return?.() }),
  } as I;
}
