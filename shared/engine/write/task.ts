import type { RecordBatch } from "apache-arrow";
import { rowsOf } from "../../arrow/rows.ts";
import { takesRows, type Writer } from "../../contract/batch-writer.ts";
import type { TaskContext } from "../../contract/context.ts";
import { type ErrorLocation, MillraceError, toMillraceError } from "../../contract/errors.ts";
import { findNonJson, type JsonValue } from "../../contract/json.ts";
import type { StallPolicy } from "../../contract/pipeline.ts";
import { BATCH_FILE } from "../../contract/store-layout.ts";
import type { NamedRow } from "../../contract/stream-reader.ts";
import type { SupportsTaskAbort } from "../../contract/stream-writer.ts";
import { batchFolder, type PlannedPartitions, readPartitionsFile } from "../partitions-file.ts";
import type { BatchRun, RunningTask, Task, TaskKey } from "../ports/ledger.ts";
import type { StalledTask } from "../ports/run-events.ts";
import type { Ports } from "../ports/runtime.ts";
import { guard } from "../sessions/guard.ts";
import type { Sessions } from "../sessions/open-sessions.ts";
import { cancelled, TaskRows } from "./rows.ts";
import { stalledError, stalledTask } from "./stall.ts";
import { TaskWatch } from "./watch.ts";

/** How long a sink that stalled may take to heed its signal. */
const GRACE_MILLISECONDS = 5000;

export interface WriteRequest {
  readonly run: BatchRun;
  /** Index of the partition, from 0. */
  readonly partition: number;
  /** Attempt of the task, from 0. */
  readonly attemptNumber: number;
}

/** Rows and bytes of Arrow data of a task so far. */
export interface TaskProgress {
  readonly rows: number;
  readonly bytes: number;
}

/** What a task tells its caller: a few bytes, because messages travel through the ledger. */
export interface TaskResult extends TaskProgress {
  readonly partition: number;
  readonly milliseconds: number;
  /** False where another attempt of the task had been recorded before. */
  readonly won: boolean;
  /** True where the writer did not take all rows: the batch goes on without those that are left. */
  readonly unread?: boolean;
}

export interface WriteOptions {
  readonly signal: AbortSignal;
  /** Watches the task; without it a stall is not noticed, and the ledger is told nothing before the task has ended. */
  readonly watch?: WatchOptions;
  /** Called with each record batch that the sink is given. */
  onProgress?(progress: TaskProgress): void;
}

/** How a task is watched. */
export interface WatchOptions {
  readonly stall: StallPolicy;
  /** Called each ten seconds. */
  onRunning?(running: RunningTask): void;
  /** Called once a stall, again only after rows have moved. */
  onStalled?(stalled: StalledTask): void;
}

/**
 * Runs one task: reads a partition, has the writer stage it, and records the commit message, unless another attempt of the task has one
 * recorded. Errors: `TASK_CANCELLED`, `PARTITION_STALLED`, `SOURCE_FAILED`, `SINK_FAILED`, and those of rows that do not fit.
 */
export async function write(
  sessions: Sessions,
  ports: Ports,
  request: WriteRequest,
  options: WriteOptions,
): Promise<TaskResult> {
  const stalling = new AbortController();
  const signal = AbortSignal.any([options.signal, stalling.signal]);
  try {
    const done = await ports.ledger.task({ ...request.run, partition: request.partition });
    if (done !== undefined) return resultOf(done, false);
    const given = { ports, request, options: { ...options, signal }, stalling };
    return await new WriterTask(await prepare(sessions, given)).run();
  } catch (error) {
    const where = placeOfTask(request);
    // Whatever a source or a sink makes of the signal, it is not a failure of theirs.
    throw signal.aborted
      ? cancelled(signal).with({ where })
      : toMillraceError(error, "TASK_FAILED", "the task failed", where, true);
  }
}

/** The place of a task, for its errors. */
export function placeOfTask({ run, partition, attemptNumber }: WriteRequest): ErrorLocation {
  return { pipeline: run.pipeline, batchId: run.batchId, partition, attempt: run.attempt, attemptNumber };
}

/** As in Spark a writer may leave rows unread, and its task succeeds. Hardly anybody means it. */
export function unreadWarning(request: WriteRequest): MillraceError {
  return new MillraceError(
    "ROWS_NOT_CONSUMED",
    `write() returned before it had all rows of partition ${request.partition}: the others will not be read again`,
    {
      where: placeOfTask(request),
      hint: "Go through the rows to their end: for await (const row of rows) …; what is not to be written can be passed over.",
    },
  );
}

/** What a task works with. */
interface TaskParts {
  readonly ports: Ports;
  readonly request: WriteRequest;
  readonly options: WriteOptions;
  /** Aborts when the task is to fail because of a stall. */
  readonly stalling: AbortController;
  readonly startedAt: number;
  readonly planned: PlannedPartitions;
  readonly context: TaskContext;
  readonly watch: TaskWatch;
  readonly rows: TaskRows;
  readonly writer: Writer<unknown>;
}

/** Finds out what was planned, and makes reader and writer. */
async function prepare(
  sessions: Sessions,
  given: Pick<TaskParts, "ports" | "request" | "options" | "stalling">,
): Promise<TaskParts> {
  const { ports, request, options } = given;
  const { run, partition, attemptNumber } = request;
  const startedAt = ports.runtime.now();
  const planned = await readPartitionsFile(ports.store, run.partitionsKey);
  const context: TaskContext = {
    ...sessions.sink.context(run.incarnation),
    batchId: run.batchId,
    attempt: run.attempt,
    partitionId: partition,
    attemptNumber,
    signal: options.signal,
  };
  const watch = new TaskWatch(ports.runtime);
  const where = placeOfTask(request);
  const rows = new TaskRows({ ...given, ...options, sessions, planned, context, where, watch });
  const writer = await sessions.sink.writer(planned.schema);
  return { ...given, startedAt, planned, context, watch, rows, writer };
}

/** One attempt of a task: it stages its rows, then records them, or drops what it staged. */
class WriterTask {
  readonly #parts: TaskParts;

  constructor(parts: TaskParts) {
    this.#parts = parts;
  }

  async run(): Promise<TaskResult> {
    const { rows, planned } = this.#parts;
    const message = await this.#stage();
    let task: Task;
    try {
      // A sink might swallow the error of the source.
      if (rows.failure !== undefined) throw rows.failure;
      task = await this.#toRecord(message);
    } catch (error) {
      await this.#drop(message);
      throw error;
    }
    const result = await this.#record(task, message);
    return rows.isWhole || planned.partitions.length === 0 ? result : { ...result, unread: true };
  }

  /** Has the writer stage the rows; returns its message. */
  async #stage(): Promise<unknown> {
    const { writer, context, rows, watch, request } = this.#parts;
    this.#beginWatch();
    try {
      const writing = guard(
        "SINK_FAILED",
        "write() failed",
        placeOfTask(request),
        () =>
          takesRows(writer) ? writer.write(namedRows(rows, watch), context) : writer.write(rows, context),
        true,
      );
      return await this.#unlessStalled(writing);
    } finally {
      watch.end();
    }
  }

  /** The first recorded task wins; a loser drops what it staged, and answers as the winner. */
  async #record(task: Task, message: unknown): Promise<TaskResult> {
    const { ledger } = this.#parts.ports;
    const key = this.#key;
    let winner: Task;
    try {
      winner = await ledger.recordTask(key, task);
    } catch (error) {
      // The record may be there, or come to be there: what was staged stays, unless somebody else's record is in its place.
      const there = await ledger.task(key).catch(() => undefined);
      if (there === undefined) throw error;
      winner = there;
    }
    const won = winner.writerId === task.writerId;
    if (!won) await this.#drop(message);
    return resultOf(winner, won);
  }

  /** Best effort: what is left behind is removed by vacuum. */
  async #drop(message: unknown): Promise<void> {
    const { writer, context } = this.#parts;
    if (!("abortTask" in writer)) return;
    try {
      await (writer as unknown as SupportsTaskAbort<unknown>).abortTask(message ?? null, context);
    } catch {
      // The task's own outcome counts.
    }
  }

  get #key(): TaskKey {
    const { run, partition } = this.#parts.request;
    return { ...run, partition };
  }

  async #toRecord(message: unknown): Promise<Task> {
    const { ports, request, watch, startedAt } = this.#parts;
    const { partition, attemptNumber } = request;
    const writerId = ports.runtime.newId();
    const endedAt = ports.runtime.now();
    return {
      partition,
      rows: watch.rows,
      bytes: watch.bytes,
      milliseconds: endedAt - startedAt,
      attemptNumber,
      writerId,
      recordedAt: endedAt,
      ...(await carryMessage(ports, request.run, writerId, message ?? null)),
    };
  }

  /** Has the task watched, as far as that is asked for. */
  #beginWatch(): void {
    const { options, watch, request, planned, stalling } = this.#parts;
    const { signal } = options;
    if (options.watch === undefined || signal.aborted) return;
    // A task that was told to stop is nobody's business any more, though its sink may hang on.
    signal.addEventListener("abort", () => watch.end(), { once: true });
    const { stall, onRunning, onStalled } = options.watch;
    const { partition, attemptNumber } = request;
    const tell = this.#teller();
    watch.begin({
      stallAfter: stall.after,
      onReport: (advance) => {
        const running = { partition, attemptNumber, ...advance };
        onRunning?.(running);
        tell(running);
      },
      onStalled: (advance) => {
        const stalled = stalledTask(placeOfTask(request), planned, advance, stall.fail);
        onStalled?.(stalled);
        if (stall.fail) stalling.abort(stalledError(stalled));
      },
    });
  }

  /** Tells the ledger how far the task is, one call at a time. Best effort: it is for people who look on. */
  #teller(): (running: RunningTask) => void {
    const { ledger } = this.#parts.ports;
    let isTelling = false;
    return (running) => {
      if (isTelling) return;
      isTelling = true;
      ledger
        .reportProgress(this.#key, running)
        .catch(() => undefined)
        .finally(() => {
          isTelling = false;
        });
    };
  }

  /** Waits for the sink. After a stall, gives it 5 s to react to its signal, then abandons it. */
  async #unlessStalled(writing: Promise<unknown>): Promise<unknown> {
    const { ports, stalling } = this.#parts;
    const stalled = stalling.signal;
    const over = new AbortController();
    const givenUp = new Promise<never>((_, reject) => {
      const giveUp = () => {
        writing.then((late) => this.#drop(late)).catch(() => undefined);
        reject(stalled.reason as MillraceError);
      };
      const wait = () => {
        ports.runtime.sleep(GRACE_MILLISECONDS, over.signal).then(giveUp, () => undefined);
      };
      stalled.addEventListener("abort", wait, { signal: over.signal });
    });
    try {
      return await Promise.race([writing, givenUp]);
    } finally {
      over.abort();
    }
  }
}

function resultOf(task: Task, won: boolean): TaskResult {
  return {
    partition: task.partition,
    rows: task.rows,
    bytes: task.bytes,
    milliseconds: task.milliseconds,
    won,
  };
}

/** What a task record holds of its message: itself, or where a large one lies. Error: `MESSAGE_NOT_JSON`. */
async function carryMessage(
  ports: Ports,
  run: BatchRun,
  writerId: string,
  message: unknown,
): Promise<Pick<Task, "message" | "messageKey">> {
  const problem = findNonJson(message, "message");
  if (problem !== undefined) {
    throw new MillraceError(
      "MESSAGE_NOT_JSON",
      `write() must give a JSON value as its message, but gave ${problem}`,
      {
        hint: "Give plain JSON: the message is stored, and read on another machine.",
      },
    );
  }
  const bytes = Buffer.from(JSON.stringify(message));
  if (bytes.length <= ports.ledger.limits.messageBytes) return { message: message as JsonValue };
  const messageKey = `${batchFolder(run.batchId)}${BATCH_FILE.message}${writerId}.json`;
  await ports.store.put(messageKey, bytes);
  return { message: null, messageKey };
}

/** For a writer in row form. */
async function* namedRows(batches: AsyncIterable<RecordBatch>, watch: TaskWatch): AsyncGenerator<NamedRow> {
  for await (const batch of batches) {
    for (const row of rowsOf(batch)) {
      yield row;
      watch.took();
    }
  }
}
