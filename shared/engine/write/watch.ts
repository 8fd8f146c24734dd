import type { RecordBatch } from "apache-arrow";
import type { Runtime } from "../../contract/context.ts";
import { parseDuration } from "../../contract/duration.ts";
import type { PipelineDefinition, StallPolicy } from "../../contract/pipeline.ts";
import type { RowSource } from "../../contract/stream-reader.ts";
import type { RunningTask } from "../ports/ledger.ts";

/** How often a task is looked at. */
const LOOK_MILLISECONDS = 1000;
/** A task that runs for longer tells how far it is, each time that so long has passed. */
const REPORT_MILLISECONDS = 10_000;
const DEFAULT_POLICY: StallPolicy = { after: "5 minutes", fail: false };

/** What counts as a stall, and what comes of it: as it is asked for, else as the pipeline says. */
export function stallPolicyOf(
  { stall = DEFAULT_POLICY }: Pick<PipelineDefinition, "stall">,
  asked: Partial<StallPolicy> = {},
): StallPolicy {
  return { ...stall, ...asked };
}

/** How far a task is: all but which one it is. */
export type Advance = Omit<RunningTask, "partition" | "attemptNumber">;

export interface Watching {
  /** A duration. */
  readonly stallAfter: string;
  /** Called each ten seconds. */
  onReport(advance: Advance): void;
  /** Called once a stall, again only after rows have moved. */
  onStalled(advance: Advance): void;
}

/**
 * Counts the rows of a task on their way from the source to the sink, and, once it watches, notices
 * where they stand still. Rows move where the source gives one more, and where the sink takes one
 * more. Code that never waits for anything keeps the watch from looking, too.
 */
export class TaskWatch {
  /** Of record batches that the sink was given. */
  rows = 0;
  /** Of Arrow data. */
  bytes = 0;
  readonly #runtime: Pick<Runtime, "now" | "sleep">;
  readonly #over = new AbortController();
  #waitsFor: RunningTask["waitsFor"] = "sink";
  /** Counting costs less than asking the clock for each row. */
  #moves = 0;
  #movesSeen = 0;
  /**
   * How often the source was asked for a row, and how often when its last record batch was full.
   */
  #asked = 0;
  #askedForBatches = 0;
  readonly #startedAt: number;
  #progressedAt: number;
  #reportedAt: number;
  #isStalled = false;

  constructor(runtime: Pick<Runtime, "now" | "sleep">) {
    this.#runtime = runtime;
    this.#startedAt = runtime.now();
    this.#progressedAt = this.#startedAt;
    this.#reportedAt = this.#startedAt;
  }

  /** Begins to watch, until `end`. */
  begin(watching: Watching): void {
    const stallAfter = parseDuration(watching.stallAfter);
    const look = Math.min(LOOK_MILLISECONDS, stallAfter);
    const watch = async () => {
      for (;;) {
        await this.#runtime.sleep(look, this.#over.signal);
        this.#look(watching, stallAfter);
      }
    };
    watch().catch(() => undefined);
  }

  end(): void {
    this.#over.abort();
  }

  /** The same rows, each of them noticed. What is no iterable is left to whoever reads it. */
  over(source: RowSource): RowSource {
    const asked = () => {
      this.#asked++;
      this.#moves++;
    };
    if (typeof source !== "object" || source === null) return source;
    if (Symbol.asyncIterator in source)
      return { [Symbol.asyncIterator]: () => noticed(source[Symbol.asyncIterator](), asked) };
    if (Symbol.iterator in source)
      return { [Symbol.iterator]: () => noticed(source[Symbol.iterator](), asked) };
    return source;
  }

  /** The sink has asked for more. */
  asks(): void {
    this.#moves++;
    this.#waitsFor = "source";
  }

  /** The sink was given a record batch, or has all that there are. */
  gives(batch?: RecordBatch): void {
    this.#moves++;
    this.#waitsFor = "sink";
    this.rows += batch?.numRows ?? 0;
    this.bytes += batch?.data.byteLength ?? 0;
    this.#askedForBatches = this.#asked;
  }

  /** The sink took one row of a record batch. */
  took(): void {
    this.#moves++;
  }

  #look(watching: Watching, stallAfter: number): void {
    const now = this.#runtime.now();
    if (this.#moves !== this.#movesSeen) {
      this.#movesSeen = this.#moves;
      this.#progressedAt = now;
      this.#isStalled = false;
    } else if (!this.#isStalled && now - this.#progressedAt >= stallAfter) {
      this.#isStalled = true;
      watching.onStalled(this.#advance(now));
    }
    if (now - this.#reportedAt < REPORT_MILLISECONDS) return;
    this.#reportedAt = now;
    watching.onReport(this.#advance(now));
  }

  #advance(now: number): Advance {
    // Rows that have come and do not fill a record batch yet: one for each time that the source was
    // asked, but the last.
    const pending = Math.max(0, this.#asked - this.#askedForBatches - 1);
    return {
      startedAt: this.#startedAt,
      rows: this.rows + pending,
      bytes: this.bytes,
      waitsFor: this.#waitsFor,
      progressedAt: this.#progressedAt,
      reportedAt: now,
    };
  }
}

/** An iterator that calls `asked` whenever its next value is asked for. */
function noticed<I extends Iterator<unknown> | AsyncIterator<unknown>>(iterator: I, asked: () => void): I {
  return {
    next() {
      asked();
      return iterator.next();
    },
    // for await looks whether it is there.
    ...(iterator.return === undefined ? {} : { return: () => iterator.return?.() }),
  } as I;
}
