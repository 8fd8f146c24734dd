import type { LeftOut } from "../../arrow/left-out.ts";
import { linkSignals } from "../../contract/abort.ts";
import { listNames, MillraceError, toMillraceError } from "../../contract/errors.ts";
import { optional } from "../../contract/optional.ts";
import { BATCH_FILE } from "../../contract/store-layout.ts";
import type { SupportsTaskAbort } from "../../contract/stream-writer.ts";
import type { AnyDataWriter } from "../../contract/write/data-writer.ts";
import { withSuppressed } from "../first-cause.ts";
import { batchFolder } from "../partitions-file.ts";
import { isOfPlan } from "../plan-tasks.ts";
import type { BatchRun } from "../ports/ledger.ts";
import type { Ports } from "../ports/runtime.ts";
import type { Task } from "../ports/tasks.ts";
import type { CountsRows } from "../sessions/engine-write.ts";
import type { Sessions } from "../sessions/open-sessions.ts";
import type { SinkWrite } from "../sessions/sink-write.ts";
import { CommitRight, type OtherAttempt } from "./commit-right.ts";
import { exchangeRows } from "./exchange-task.ts";
import { cancelled } from "./rows.ts";
import {
  prepareTask,
  recordTask,
  resultOf,
  resultOfPlan,
  type TaskParts,
  taskRecord,
  watched,
} from "./task-parts.ts";
import {
  type TaskResult,
  taskKey,
  taskLocation,
  type WriteOptions,
  type WriteRequest,
} from "./task-request.ts";
import { TaskWriter } from "./task-writer.ts";

/**
 * Runs one task: reads a partition, exchanges its rows or lets the writer stage them, and records
 * the message unless another attempt of the task is already recorded. Throws `TASK_CANCELLED`,
 * `PARTITION_STALLED`, `SOURCE_FAILED` or `SINK_FAILED`, and errors of rows that do not fit the
 * schema.
 */
export async function write(
  sessions: Sessions,
  ports: Ports,
  request: WriteRequest,
  options: WriteOptions,
): Promise<TaskResult> {
  const stalling = new AbortController();
  const { signal, unlink } = linkSignals(options.signal, stalling.signal);
  try {
    const done = await ports.ledger.task(taskKey(request));
    if (done !== undefined && isOfPlan(done, request.run)) return resultOf(done, false);
    const parts = await prepareTask({ sessions, ports, request, options: { ...options, signal }, stalling });
    return parts.planned.exchange === undefined
      ? await new WriterTask(parts, await openWrite(parts)).run()
      : await exchangeRows(parts, parts.planned.exchange);
  } catch (error) {
    const where = taskLocation(request);
    // After the signal has aborted, an error of the source or the sink is a consequence of it and
    // not a failure.
    throw signal.aborted
      ? cancelled(signal).with({ where })
      : toMillraceError(error, "TASK_FAILED", "the task failed", where, true);
  } finally {
    unlink();
  }
}

async function openWrite({ sessions, planned, request: { run } }: TaskParts): Promise<SinkWrite> {
  // Only what is recorded for a table has the time, and only a table can see it.
  return await sessions.sink.write(planned.schema, { ...run, plannedAt: run.write?.plannedAt ?? 0 });
}

/** Returns a whole number below 2^53 that is as unique as the id. */
function taskIdOf(writerId: string): number {
  return Number(BigInt.asUintN(53, BigInt(`0x0${writerId.replace(/[^\da-f]/gi, "")}`)));
}

/**
 * The warning for a writer that returned before it had read all rows. As in Spark the task
 * succeeds, but this is usually a mistake.
 */
export function unreadWarning(request: WriteRequest): MillraceError {
  return new MillraceError(
    "ROWS_NOT_CONSUMED",
    `write() returned before it had all rows of partition ${request.partition}: the others will not be read again`,
    {
      where: taskLocation(request),
      hint: "Go through the rows to their end: for await (const row of rows) …; what is not to be written can be passed over.",
    },
  );
}

/** The warning for rows that have fields which the schema lacks. */
export function leftOutWarning(run: BatchRun, { names, rows }: LeftOut): MillraceError {
  const { pipeline, batchId, attempt } = run;
  const fields = names.length === 1 ? "a field" : "fields";
  return new MillraceError(
    "FIELDS_LEFT_OUT",
    `rows have ${fields} that the schema lacks, and that nothing writes: ${listNames(names, SHOWN_NAMES)} (in ${rows} rows or more)`,
    {
      where: { pipeline, batchId, attempt },
      hint: `Add them to the schema, or leave them out of the rows. \`millrace schema PIPELINE.ts --infer\` proposes a schema that has them.`,
    },
  );
}
const SHOWN_NAMES = 10;

/** A task whose writer has committed, and which is not recorded yet. */
interface Committed {
  readonly message: unknown;
  readonly task: Task;
}

/** Runs one attempt of a task: writes its rows, commits them, and records its message. */
class WriterTask {
  readonly #parts: TaskParts;
  readonly #write: SinkWrite;
  readonly #writerId: string;

  constructor(parts: TaskParts, write: SinkWrite) {
    this.#parts = parts;
    this.#write = write;
    this.#writerId = parts.ports.runtime.newId();
  }

  async run(): Promise<TaskResult> {
    const { rows, planned, request, sinkContext, ports, options } = this.#parts;
    const write = this.#write;
    const taskId = taskIdOf(this.#writerId);
    const where = taskLocation(request);
    const made = await write.createWriter(request.run.write, taskId, sinkContext, where);
    const right = new CommitRight({
      ports,
      run: request.run,
      key: taskKey(request),
      attemptNumber: request.attemptNumber,
      writerId: this.#writerId,
      where,
      signal: options.signal,
      deadline: options.commitDeadline,
      isRenewed: options.watch !== undefined,
    });
    const writer = new TaskWriter(made, { ...this.#parts, where, metrics: write.metrics });
    const staged = await this.#stage(writer, right, made);
    if ("outcome" in staged) return resultOfPlan(await staged.outcome(), request, false);
    let result: TaskResult;
    try {
      // As in Spark, the task fails if this throws although it has committed, and another attempt
      // commits again.
      await writer.close();
      result = await recordTask(this.#parts, staged.task, () => this.#dropCommitted(staged.message));
    } catch (error) {
      await right.release();
      throw error;
    }
    right.end();
    const isUnread = !rows.isComplete && planned.count > 0;
    return { ...result, ...(isUnread ? { unread: true } : {}), ...optional("leftOut", rows.leftOut) };
  }

  /** Writes and commits, unless another attempt may. After an error, aborts. */
  async #stage(
    writer: TaskWriter,
    right: CommitRight,
    made: AnyDataWriter<unknown>,
  ): Promise<OtherAttempt | Committed> {
    const { rows, planned, context, ports, request, options } = this.#parts;
    const { ordering, isTransformed = false } = planned;
    try {
      const prepared = this.#write.rowsToWrite(rows, context, {
        ...optional("ordering", ordering),
        isTransformed,
        ports,
        folder: `${batchFolder(request.run.batchId)}${BATCH_FILE.sorted}${this.#writerId}/`,
        signal: options.signal,
        where: taskLocation(request),
      });
      await watched(this.#parts, () => writer.writeAll(prepared));
      // A sink might swallow the error of the source.
      if (rows.failure !== undefined) throw rows.failure;
      const metrics = await writer.metrics();
      const other = await right.ask();
      if (other === undefined) {
        const message = await writer.commit();
        const counts = (made as Partial<CountsRows>).counts?.();
        const figures = { ...optional("metrics", metrics), ...optional("counts", counts) };
        return { message, task: await taskRecord(this.#parts, this.#writerId, message, figures) };
      }
      await writer.abandon();
      return other;
    } catch (error) {
      const suppressed = await writer.abandon();
      await right.release();
      throw withSuppressed(error, suppressed);
    }
  }

  /** Calls the sink's `abortTask`, if it has one. Vacuum removes what is left after an error. */
  async #dropCommitted(message: unknown): Promise<void> {
    const { asked } = this.#write;
    const { abortTask } = asked as Partial<SupportsTaskAbort<unknown>>;
    try {
      await abortTask?.call(asked, message ?? null, this.#parts.context);
    } catch {
      // The result of the task matters more than this error.
    }
  }
}
