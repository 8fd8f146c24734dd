import type { JsonValue } from "../../../shared/contract/json.ts";
import type { Args } from "../trace.ts";
import type { Entry, Recording, TaskId } from "./trace.ts";

/** A task of which the first attempt sleeps in a call, and a copy runs beside it. */
export interface SlowTask {
  /** The call that sleeps. */
  readonly point: string;
  readonly isCoordinated: boolean;
  /** True if the sleep goes on when the attempt is told to stop. */
  readonly isStubborn: boolean;
}

/** Long enough for the copy, as a recording counts. */
const SLEEP = 3000;
const ROWS = [
  [
    [0, 0],
    [1, 1],
  ],
  [
    [2, 2],
    [3, 0],
  ],
] as const;

type Named = readonly [call: string, args: Args];

/**
 * Writes the recording of a batch of two tasks, of which the second is slow, as Spark with
 * speculation would make it. The first attempt that asks may commit.
 */
export function slowTask(slow: SlowTask): Recording {
  return { scenario: "foretold", trace: new SlowTrace(slow).whole() };
}

class SlowTrace {
  readonly #trace: Entry[] = [];
  readonly #slow: SlowTask;
  readonly #options: Readonly<Record<string, string>>;

  constructor(slow: SlowTask) {
    const { point, isStubborn, isCoordinated } = slow;
    const place = { partitionId: 1, attemptsBelow: 1, ...(point === "DataWriter.write" ? { n: 1 } : {}) };
    const fault = { point, sleep: SLEEP, stubborn: isStubborn, throw: false, ...place };
    this.#slow = slow;
    this.#options = {
      table: "t",
      fault: JSON.stringify([fault]),
      coordinator: String(isCoordinated),
    };
  }

  whole(): readonly Entry[] {
    this.#begin();
    const [first, slow, copy] = [attempt(0, 0, 0), attempt(1, 0, 1), attempt(1, 1, 2)];
    this.#addAll(first, callsOf(first));
    this.#add("BatchWrite.onDataWriterCommit", { message: messageOf(first) });
    const { point } = this.#slow;
    const at = callsOf(slow).findLastIndex(([call]) => call === point) + 1;
    this.#addAll(slow, callsOf(slow).slice(0, at));
    this.#add(`!! sleep in ${point}`, { ms: SLEEP }, slow);
    const winner = this.#mayCommit ? slow : copy;
    if (this.#mayCommit) this.#addDenied(copy, slow, at);
    else this.#addAll(copy, callsOf(copy));
    this.#end(first, winner);
    if (!this.#mayCommit) this.#addInterrupted(slow, at);
    this.#add("== driver: waited", { seconds: 8 });
    this.#add("== driver: rows", { table: "t", files: { 0: ROWS[0], 1: ROWS[1] } as unknown as JsonValue });
    return this.#trace;
  }

  /** True if the slow attempt has asked whether it may commit before it sleeps. */
  get #mayCommit(): boolean {
    const { point, isCoordinated } = this.#slow;
    return isCoordinated && (point.startsWith("DataWriter.commit") || point === "DataWriter.close");
  }

  #begin(): void {
    const speculation = { intervalMs: 100, minRuntimeMs: 300, multiplier: 1, quantile: 0.5 };
    this.#add("== driver: session", { op: { kind: "session", parallel: 2, attempts: 4, speculation } });
    const schema = "id BIGINT NOT NULL,p INT";
    const options = this.#options;
    const verb = { api: "save", mode: "append", condition: null, dynamic: false, by: "name" };
    const rows = { schema, partitions: ROWS as unknown as JsonValue };
    const op = { kind: "batchWrite", table: "t", catalog: null, placement: "input", ...verb, rows, options };
    this.#add("== driver: run", { op });
    const info = { queryId: "Q0", schema, rowIdSchema: null, metadataSchema: null, options };
    this.#add("Table.newWriteBuilder", info);
    this.#add("WriteBuilder.build", {});
    this.#add("Write.toBatch", {});
    this.#add("BatchWrite.createBatchWriterFactory", { numPartitions: 2 });
    this.#add("BatchWrite.useCommitCoordinator", { returns: this.#slow.isCoordinated });
  }

  #end(first: TaskId, winner: TaskId): void {
    this.#add("BatchWrite.onDataWriterCommit", { message: messageOf(winner) });
    const summary = { type: "InsertSummary", numInsertedRows: 4 };
    this.#add("BatchWrite.commit", { messages: [messageOf(first), messageOf(winner)], summary });
    this.#add("Write.reportDriverMetrics", { returns: [] });
    this.#add("== driver: ok", {});
  }

  #addDenied(copy: TaskId, slow: TaskId, at: number): void {
    this.#addAll(copy, callsOf(copy).slice(0, -3));
    this.#addAll(copy, ABORTED);
    this.#add(`!! awake in ${this.#slow.point}`, {}, slow);
    this.#addAll(slow, callsOf(slow).slice(at));
  }

  /** What the slow attempt does when it is told to stop. */
  #addInterrupted(slow: TaskId, at: number): void {
    const { point, isStubborn } = this.#slow;
    this.#add(`!! interrupted in ${point}`, {}, slow);
    if (isStubborn) this.#add(`!! awake in ${point}`, {}, slow);
    const rest = callsOf(slow).slice(at);
    const isInCommit = point.startsWith("DataWriter.commit") || point === "DataWriter.close";
    if (isInCommit && isStubborn) this.#addAll(slow, rest);
    else if (point !== "DataWriter.close") this.#addAll(slow, ABORTED);
  }

  #addAll(task: TaskId, calls: readonly Named[]): void {
    for (const [call, args] of calls) this.#add(call, args, task);
  }

  #add(call: string, args: Args, task?: TaskId): void {
    this.#trace.push({ call, args, ...(task === undefined ? {} : { task }) });
  }
}

const ABORTED: readonly Named[] = [
  ["DataWriter.abort", {}],
  ["DataWriter.close", {}],
];

function attempt(partitionId: number, attemptNumber: number, taskId: number): TaskId {
  return { partitionId, attemptNumber, taskId };
}

function messageOf({ partitionId, attemptNumber, taskId }: TaskId): JsonValue {
  return { partition: partitionId, attempt: attemptNumber, taskId, rows: 2 };
}

/** The calls of an attempt that goes well. */
function callsOf(task: TaskId): readonly Named[] {
  const { partitionId, taskId } = task;
  const rows = (ROWS[partitionId] ?? []).map(
    (row, n) => ["DataWriter.write", { n, row: row as unknown as JsonValue }] as const,
  );
  return [
    ["DataWriterFactory.createWriter", { partitionId, taskId }],
    ["DataWriter.writeAll", {}],
    ...rows,
    ["DataWriter.commit", { rows: 2 }],
    ["DataWriter.commit:return", { message: messageOf(task) }],
    ["DataWriter.close", {}],
  ];
}
