import type { JsonValue } from "../../shared/contract/json.ts";
import type { Args, Entry, Recording, TaskId } from "./trace.ts";

type Message = { partition: number; attempt: number; rows: number; lo: number; hi: number };

/** The end of a task that does not succeed. */
export interface TaskEnd {
  readonly attempt?: number;
  /**
   * The fault that ends the task. `running` means that the trace does not contain the task's end.
   */
  readonly ends?: "raise in write" | "raise in write:enter" | "kill -9 JVM from write" | "running";
}

const SCHEMA = { schema: "struct<id:bigint,part:int>" };
const at = (n: number): Args => ({ n });

/**
 * Writes a trace in Spark's form, for cases that no recording contains. The order of the calls
 * follows the notes of the recordings and Spark's MicroBatchExecution. Each batch has `partitions`
 * partitions of two rows.
 */
export class Script {
  readonly #trace: Entry[] = [];
  readonly #partitions: number;
  readonly #source: string;
  #wopts: Args = {};

  constructor(partitions: number, source = "Src") {
    this.#partitions = partitions;
    this.#source = source;
  }

  get recording(): Recording {
    return { scenario: "written", trace: this.#trace };
  }

  start({
    ropts = {},
    wopts = {},
    trigger = "default (processingTime 0)" as JsonValue,
  }: {
    ropts?: Args;
    wopts?: Args;
    trigger?: JsonValue;
  } = {}): this {
    const all = { partitions: this.#partitions, step: this.#partitions * 2, ...ropts };
    this.#wopts = wopts;
    this.#add("== driver: start query", { trigger, ropts: all, wopts });
    this.#add("DataSource.__init__", { cls: this.#source, options: shown(all) });
    this.#add("DataSource.schema", {});
    if (this.#source === "Src") this.#add("DataSource.streamReader", SCHEMA);
    return this;
  }

  initialOffset(): this {
    return this.#add("reader.initialOffset", { returns: at(0) });
  }

  latestOffset(start: number, end: number): this {
    const limit = this.#source === "Back" ? {} : { limit: "ReadAllAvailable()" };
    return this.#add("reader.latestOffset", { start: at(start), ...limit, returns: at(end) });
  }

  /** Adds at least two triggers that find no new data. */
  idle(n: number): this {
    this.latestOffset(n, n);
    this.#trace.push({ ...(this.#trace.pop() as Entry), repeats: ">=2" });
    return this;
  }

  call(call: string, args: Args = {}): this {
    return this.#add(call, args);
  }

  acknowledge(end: number): this {
    return this.#add("reader.commit", { end: at(end) });
  }

  partitions(start: number, end: number): this {
    const parts = Array.from({ length: end > start ? this.#partitions : 0 }, (_, i) => part(i, start));
    return this.#add("reader.partitions", { start: at(start), end: at(end), returns: parts });
  }

  /** Adds the calls with which Spark creates a writer and sends it to the tasks. */
  planWriter(): this {
    this.#add("DataSource.__init__", {
      cls: "Src",
      options: { ...shown(this.#wopts), checkpointlocation: "somewhere" },
    });
    return this.#add("writer.__init__", { ...SCHEMA, overwrite: false });
  }

  inTask(task: TaskId, call: string, args: Args): this {
    this.#trace.push({ call, args, task });
    return this;
  }

  /** Adds the calls of one attempt of a task. `start` is the start of the batch. */
  task(batch: number, partition: number, start: number, { attempt = 0, ends }: TaskEnd = {}): this {
    const task = { partitionId: partition, attemptNumber: attempt, batchIdProp: String(batch) };
    const add = (call: string, args: Args) => this.inTask(task, call, args);
    const where = { partition, batch };
    add("writer.write:enter", { iterator: "map" });
    if (ends === "raise in write:enter") {
      add("!! raise in write:enter", where);
      return this;
    }
    add("reader.read:enter", { partition: part(partition, start) });
    if (ends === "running") return this;
    add("reader.read:exit", { partition: part(partition, start) });
    if (ends !== undefined) add(`!! ${ends}`, where);
    else {
      const { rows, lo, hi } = message(partition, start, attempt);
      add("writer.write:exit", { items: 1, kinds: ["RecordBatch"], rows, lo, hi });
    }
    return this;
  }

  /** Adds the first attempt of each task of a batch. */
  tasks(batch: number, start: number): this {
    for (let partition = 0; partition < this.#partitions; partition++) this.task(batch, partition, start);
    return this;
  }

  /**
   * Adds the commit or the abort of a batch. `finished` lists the partitions with a message, by
   * default all.
   */
  end(how: "commit" | "abort", batchId: number, start: number, finished?: readonly number[]): this {
    const messages = Array.from({ length: this.#partitions }, (_, partition) =>
      finished === undefined || finished.includes(partition) ? message(partition, start, 0) : null,
    );
    this.#add("writer.__init__", { ...SCHEMA, overwrite: false });
    return this.#add(`writer.${how}`, { messages, batchId });
  }

  /** Adds a whole batch that is already planned: its writer, its tasks and its commit. */
  batch(batchId: number, start: number): this {
    return this.planWriter()
      .tasks(batchId, start)
      .end("commit", batchId, start)
      .call("writer.commit:return", { batchId });
  }

  /** Adds the end of the run. `faults` are the faults in its error. A successful run has none. */
  ended(...faults: readonly string[]): this {
    const lines = faults.map((point) => `injected fault at ${point} {}`);
    return this.#add("== driver: query ended", { exception: faults.length === 0 ? null : lines });
  }

  checkpoint(ends: readonly number[], committed: number = ends.length): this {
    const offsets = ends.map((end, id) => [id, JSON.stringify(at(end))] as const);
    const commits = ends.slice(0, committed).map((_, id) => [id, "present"] as const);
    return this.#add("== checkpoint", {
      offsets: Object.fromEntries(offsets),
      commits: Object.fromEntries(commits),
    });
  }

  #add(call: string, args: Args): this {
    this.#trace.push({ call, args });
    return this;
  }
}

function part(idx: number, start: number): string {
  return `Part(idx=${idx},start=${start + idx * 2},end=${start + idx * 2 + 2})`;
}

function message(partition: number, start: number, attempt: number): Message {
  const lo = start + partition * 2;
  return { partition, attempt, rows: 2, lo, hi: lo + 1 };
}

function shown(options: Args): Record<string, string> {
  const others = Object.entries(options).filter(([name]) => name !== "fault");
  return Object.fromEntries(others.map(([name, value]) => [name, String(value)]));
}
