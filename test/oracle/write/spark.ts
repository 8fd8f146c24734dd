import type { JsonValue } from "../../../shared/contract/json.ts";
import { predicateText } from "../../../shared/contract/write/predicate-text.ts";
import type { Disposition } from "../../../shared/contract/write/writer-table.ts";
import type { Args } from "../trace.ts";
import type { BatchWriteOp, GivenOp, OpRow, SessionOp, StreamOp } from "./op.ts";
import { isAlways, predicateOf } from "./predicates.ts";
import { columnsOf, TableState } from "./tables.ts";
import type { Entry, Files, Recording, TaskId } from "./trace.ts";

interface Fault {
  readonly point: string;
  readonly partitionId?: number;
  readonly n?: number;
  readonly epochId?: number;
  readonly attemptsBelow?: number;
  readonly throw?: boolean;
}

type Message = { partition: number; attempt: number; taskId: number; rows: number };

/** What a call throws that a fault was put in. */
class Thrown extends Error {}

/**
 * Writes recordings as Spark would make them, for statements that no recording has. It follows the
 * rules that the recordings show: what is called in which order, and what follows what throws. One
 * task runs at a time. Sleeps are not known here.
 */
export class Spark {
  readonly #trace: Entry[] = [];
  readonly #session: SessionOp;
  readonly #tables = new Map<string, { readonly state: TableState; readonly op?: GivenOp }>();
  #queries = 0;
  #tasks = 0;
  /** Number of epochs of the last stream that are committed. */
  #committed = 0;
  #streamQuery = "";

  constructor(session: Partial<SessionOp> = {}) {
    this.#session = { kind: "session", parallel: 1, attempts: 2, speculation: null, ...session };
    this.#add("== driver: session", { op: this.#session as unknown as JsonValue });
  }

  get recording(): Recording {
    return { scenario: "foretold", trace: this.#trace };
  }

  given(op: Omit<GivenOp, "kind">, files: Files): this {
    const whole: GivenOp = { kind: "given", ...op };
    this.#tables.set(op.table, { state: TableState.given(whole, files), op: whole });
    this.#add("== driver: given", { files: files as JsonValue, op: whole as unknown as JsonValue });
    return this;
  }

  rows(table = "t"): this {
    this.#add("== driver: rows", {
      table,
      files: (this.#tables.get(table)?.state.files ?? null) as JsonValue,
    });
    return this;
  }

  batch(change: Partial<BatchWriteOp>): this {
    const op: BatchWriteOp = {
      kind: "batchWrite",
      ...{ api: "save", table: "t", catalog: null, mode: "append", condition: null, dynamic: false },
      ...{ by: "name", rows: { schema: "id BIGINT NOT NULL,p INT", partitions: [] }, placement: "input" },
      ...change,
      options: { table: "t", ...change.options },
    };
    this.#run(op, () => new Write(this.#contextOf(op, `Q${this.#queries++}`), op).batch());
    return this;
  }

  stream(change: Partial<StreamOp>): this {
    const op: StreamOp = {
      kind: "stream",
      ...{ table: "t", catalog: null, outputMode: "append", trigger: "availableNow", wait: "end" },
      ...{ rows: { schema: "id BIGINT NOT NULL,p INT", epochs: [] }, checkpoint: "new", placement: "input" },
      ...change,
      options: { table: "t", ...change.options },
    };
    if (op.checkpoint === "new") {
      this.#committed = 0;
      this.#streamQuery = `Q${this.#queries++}`;
    }
    this.#run(op, () => {
      const epochs = op.rows.epochs ?? [];
      for (; this.#committed < epochs.length; this.#committed++)
        new Write(this.#contextOf(op, this.#streamQuery), op).epoch(
          this.#committed,
          epochs[this.#committed] ?? [],
        );
    });
    return this;
  }

  #run(op: BatchWriteOp | StreamOp, body: () => void): void {
    this.#add("== driver: run", { op: op as unknown as JsonValue });
    try {
      body();
      this.#add("== driver: ok", {});
    } catch (error) {
      if (!(error instanceof Thrown)) throw error;
      this.#add("== driver: error", { chain: [{ class: "Fault", message: error.message }] });
    }
  }

  #contextOf(op: BatchWriteOp | StreamOp, queryId: string): Context {
    const known = this.#tables.get(op.table) ?? {
      state: new TableState(op.table, columnsOf(op.rows.schema)),
    };
    this.#tables.set(op.table, known);
    return {
      queryId,
      table: known.state,
      settings: { ...known.op?.properties, ...op.options },
      attempts: this.#session.attempts,
      newTask: () => this.#tasks++,
      add: (call, args, task) => this.#add(call, args, task),
    };
  }

  #add(call: string, args: Args, task?: TaskId): void {
    this.#trace.push({ call, args, ...(task === undefined ? {} : { task }) });
  }
}

interface Context {
  readonly queryId: string;
  readonly table: TableState;
  readonly settings: Readonly<Record<string, string>>;
  readonly attempts: number;
  newTask(): number;
  add(call: string, args: Args, task?: TaskId): void;
}

type Place = { readonly partitionId?: number; readonly n?: number; readonly epochId?: number };

/** One batch, as Spark writes it. */
class Write {
  readonly #context: Context;
  readonly #op: BatchWriteOp | StreamOp;
  readonly #faults: readonly Fault[];
  #replaces: Disposition = { replaces: "none" };
  #epoch: { readonly epochId?: number } = {};

  constructor(context: Context, op: BatchWriteOp | StreamOp) {
    this.#context = context;
    this.#op = op;
    this.#faults = JSON.parse(context.settings["fault"] ?? "[]") as Fault[];
  }

  batch(): void {
    const { partitions } = this.#op.rows as BatchWriteOp["rows"];
    this.#toBuild();
    this.#askMetrics();
    this.#metered(() => {
      if (this.#context.settings["v1"] === "true") this.#insert(partitions.flat());
      else {
        this.#call("Write.toBatch");
        this.#write("BatchWrite", partitions);
      }
    });
  }

  epoch(epochId: number, partitions: readonly (readonly OpRow[])[]): void {
    this.#epoch = { epochId };
    this.#toBuild();
    this.#call("Write.toStreaming");
    this.#askMetrics();
    this.#write("StreamingWrite", partitions);
  }

  #toBuild(): void {
    const { queryId } = this.#context;
    const { schema } = this.#op.rows;
    const info = { queryId, schema, rowIdSchema: null, metadataSchema: null, options: this.#op.options };
    this.#call("Table.newWriteBuilder", info);
    this.#replace();
    this.#call("WriteBuilder.build");
  }

  #replace(): void {
    const op = this.#op;
    const isComplete = op.kind === "stream" && op.outputMode === "complete";
    if (!isComplete && (op.kind === "stream" || op.mode !== "overwrite")) return;
    if (op.kind === "batchWrite" && op.dynamic) {
      this.#call("WriteBuilder.overwriteDynamicPartitions");
      this.#replaces = { replaces: "partitions" };
    } else if (op.kind === "batchWrite" && op.condition !== null && !isAlways(op.condition)) {
      const [name, ...parts] = op.condition;
      const trees = name === "and" ? (parts as BatchWriteOp["condition"][]) : [op.condition];
      const predicates = trees.map((tree) => predicateOf(tree ?? ["lit", true]));
      const texts = predicates.map(predicateText);
      const names = predicates.map((predicate) => predicate.name);
      this.#call("WriteBuilder.canOverwrite", { predicates: texts, names, returns: true });
      this.#call("WriteBuilder.overwrite", { predicates: texts });
      this.#replaces = { replaces: "matching", predicates };
    } else {
      this.#call("WriteBuilder.truncate");
      this.#replaces = { replaces: "all" };
    }
  }

  get #hasMetrics(): boolean {
    return this.#context.settings["metrics"] === "true";
  }

  #askMetrics(): void {
    if (this.#hasMetrics) this.#call("Write.supportedCustomMetrics", { returns: ["rowsSeen", "filesAdded"] });
  }

  /** The driver's metrics come last, and their error replaces an earlier one. */
  #metered(body: () => void): void {
    try {
      body();
    } finally {
      this.#call("Write.reportDriverMetrics", { returns: this.#hasMetrics ? [{ filesAdded: 7 }] : [] });
    }
  }

  #write(kind: "BatchWrite" | "StreamingWrite", partitions: readonly (readonly OpRow[])[]): void {
    const isBatch = kind === "BatchWrite";
    const tasks = partitions.length === 0 ? [[]] : partitions;
    const factory = isBatch ? "createBatchWriterFactory" : "createStreamingWriterFactory";
    this.#call(`${kind}.${factory}`, { numPartitions: tasks.length });
    const returns = this.#context.settings["coordinator"] !== "false";
    this.#call(`${kind}.useCommitCoordinator`, { returns });
    const messages: (Message | null)[] = tasks.map(() => null);
    try {
      this.#runTasks(isBatch, tasks, messages);
      const count = messages.reduce((sum, message) => sum + (message?.rows ?? 0), 0);
      const isAppend = isBatch && this.#replaces.replaces === "none";
      const summary = isAppend ? { summary: { type: "InsertSummary", numInsertedRows: count } } : {};
      this.#call(`${kind}.commit`, { ...this.#epoch, messages, ...summary }, this.#epoch);
      this.#context.table.commit(
        this.#replaces,
        messages.flatMap((message) => message?.taskId ?? []),
      );
      if (this.#faults.some(({ point }) => point === `${kind}.commit:return`))
        this.#call(`${kind}.commit:return`, this.#epoch, this.#epoch);
    } catch (error) {
      try {
        this.#call(`${kind}.abort`, { ...this.#epoch, messages }, this.#epoch);
      } catch {
        // Suppressed in the first error.
      }
      throw error;
    }
  }

  #insert(rows: readonly OpRow[]): void {
    this.#call("V1Write.toInsertableRelation");
    const args = { schema: this.#op.rows.schema, rows: rows as JsonValue, overwrite: false };
    this.#call("InsertableRelation.insert", args);
    this.#context.table.insert(this.#replaces, [rows]);
  }

  /** A task that failed runs again after the others. */
  #runTasks(isBatch: boolean, tasks: readonly (readonly OpRow[])[], messages: (Message | null)[]): void {
    const queue = tasks.map((rows, partition) => ({ rows, partition, attempt: 0 }));
    for (const task of queue) {
      try {
        const message = this.#attempt(isBatch, task);
        messages[task.partition] = message;
        if (isBatch)
          this.#call("BatchWrite.onDataWriterCommit", { message }, { partitionId: task.partition });
      } catch (error) {
        const isLast = task.attempt + 1 >= this.#context.attempts;
        const isOfTask = messages[task.partition] === null;
        if (isLast || !isOfTask) throw error;
        queue.push({ ...task, attempt: task.attempt + 1 });
      }
    }
  }

  #attempt(
    isBatch: boolean,
    { rows, partition, attempt }: { rows: readonly OpRow[]; partition: number; attempt: number },
  ): Message {
    const taskId = this.#context.newTask();
    const task = { partitionId: partition, attemptNumber: attempt, taskId };
    const call = (name: string, args: Args = {}, n?: number) =>
      this.#call(
        name,
        args,
        { partitionId: partition, ...this.#epoch, ...(n === undefined ? {} : { n }) },
        task,
      );
    const ids = { partitionId: partition, taskId };
    if (isBatch) call("DataWriterFactory.createWriter", ids);
    else call("StreamingDataWriterFactory.createWriter", { ...ids, ...this.#epoch });
    const message = { partition, attempt, taskId, rows: rows.length };
    const isQuiet = this.#context.settings["quiet"] === "true";
    const askMetrics = (rowsSeen: number) => {
      if (this.#hasMetrics) call("DataWriter.currentMetricsValues", { returns: [{ rowsSeen }] });
    };
    try {
      call("DataWriter.writeAll");
      for (const [n, row] of rows.entries()) {
        if (n % 100 === 0) askMetrics(n);
        if (!isQuiet) call("DataWriter.write", { n, row: row as JsonValue }, n);
      }
      askMetrics(rows.length);
      call("DataWriter.commit", { rows: rows.length });
      this.#context.table.stage(taskId, rows);
      call("DataWriter.commit:return", { message });
    } catch (error) {
      for (const end of ["DataWriter.abort", "DataWriter.close"]) {
        try {
          call(end);
        } catch {
          // Suppressed in the first error.
        }
      }
      throw error;
    }
    call("DataWriter.close");
    return message;
  }

  #call(call: string, args: Args = {}, place: Place = {}, task?: TaskId): void {
    this.#context.add(call, args, task);
    const isStruck = this.#faults.some(
      (fault) =>
        fault.point === call &&
        fault.throw !== false &&
        (["partitionId", "n", "epochId"] as const).every(
          (name) => fault[name] === undefined || fault[name] === place[name],
        ) &&
        (fault.attemptsBelow === undefined || (task?.attemptNumber ?? 0) < fault.attemptsBelow),
    );
    if (!isStruck) return;
    this.#context.add(`!! raise in ${call}`, {}, task);
    throw new Thrown(`fault in ${call}`);
  }
}
