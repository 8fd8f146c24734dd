import type { JsonValue } from "../../shared/contract/json.ts";
import type { Args, Entry, Recording, TaskId } from "./trace.ts";

/** The end of a task in a written partition: the number of its rows, or its fault. */
export type WriterTask =
  | { readonly partition: number; readonly attempt?: number; readonly rows: number }
  | { readonly partition: number; readonly attempt?: number; readonly ends: string };

const READ = "struct<id:bigint,name:string,v:double>";

/** Writes a trace of batches as Spark records it, for cases that the recordings lack. */
export class BatchScript {
  readonly #trace: Entry[] = [];
  readonly #written: string;
  #kind = "RecordBatch";

  constructor(written = "struct<id:bigint>") {
    this.#written = written;
  }

  get recording(): Recording {
    return { scenario: "written", trace: this.#trace };
  }

  /** Begins an action that reads. */
  read(label: string, options: Record<string, string> = {}, { asksSchema = true } = {}): this {
    this.#begin(label, options);
    if (asksSchema) this.call("DataSource.schema");
    return this.call("reader.__init__", { schema: READ });
  }

  partitions(...seen: readonly string[]): this {
    return this.call("reader.partitions", { filters_seen: seen });
  }

  push(...filters: readonly string[]): this {
    return this.call("reader.pushFilters", { filters });
  }

  /** Adds the complete task that reads a part. */
  part(idx: number, start: number, end: number, ...seen: readonly string[]): this {
    const partition = `Part(idx=${idx},start=${start},end=${end})`;
    const task = taskId(idx, 0);
    return this.#inTask(task, "reader.read:enter", { partition, filters_seen: seen }).#inTask(
      task,
      "reader.read:exit",
      { partition },
    );
  }

  /** Begins an action that writes. */
  write(label: string, options: Record<string, string> = {}, { overwrite = false } = {}): this {
    this.#kind = options["writer"] === "row" ? "Row" : "RecordBatch";
    this.#begin(label, options);
    this.#trace.push({ call: "writer.__init__", args: { schema: this.#written, overwrite }, proc: "P1" });
    return this;
  }

  task(task: WriterTask): this {
    const { partition, attempt = 0 } = task;
    const id = taskId(partition, attempt);
    this.#inTask(id, "writer.write:enter", { iterator: "map", tag: "set-in-init" });
    if ("ends" in task) return this.#inTask(id, `!! ${task.ends}`, { partition });
    const kinds = task.rows === 0 ? [] : [this.#kind];
    return this.#inTask(id, "writer.write:exit", { rows: task.rows, kinds });
  }

  /**
   * Adds the end of a batch. `tasks` are in the order of their partitions; a failed task is `null`.
   */
  end(how: "commit" | "abort", tasks: readonly (WriterTask | null)[]): this {
    const messages = tasks.map((task) => {
      if (task === null || !("rows" in task)) return null;
      return { partition: task.partition, attempt: task.attempt ?? 0, rows: task.rows, lo: 0, hi: 0 };
    });
    return this.call(`writer.${how}`, { messages });
  }

  /** Adds a complete write without a fault. */
  written(...rows: readonly number[]): this {
    const tasks = rows.map((count, partition) => ({ partition, rows: count }));
    for (const task of tasks) this.task(task);
    return this.end("commit", tasks).call("writer.commit:return").returned();
  }

  returned(value: JsonValue = null): this {
    return this.call("== driver: returned", { value });
  }

  /** Adds an exception whose Python errors name these faults. */
  failed(...points: readonly string[]): this {
    const lines = points.map((point) => `fzlib.Fault: injected fault at ${point} {}`);
    return this.call("== driver: exception", {
      type: "PythonException",
      head: "",
      python_error_lines: lines,
    });
  }

  /** Adds an action that Spark refuses before it creates any reader or writer. */
  refused(label: string, head: string, condition: string | null = null): this {
    return this.call(`== driver: ${label}`).call("== driver: exception", {
      ...{ type: "AnalysisException", head, condition },
    });
  }

  call(call: string, args: Args = {}): this {
    this.#trace.push({ call, args });
    return this;
  }

  #begin(label: string, options: Record<string, string>): this {
    const names = Object.entries(options).map(([name, value]) => [name.toLowerCase(), value] as const);
    const listed = Object.fromEntries(names);
    const caseTest = listed["casetest"] ?? null;
    return this.call(`== driver: ${label}`).call("DataSource.__init__", {
      options: listed,
      type: "CaseInsensitiveDict",
      get_CaseTest: caseTest,
      get_casetest: caseTest,
    });
  }

  #inTask(task: TaskId, call: string, args: Args): this {
    this.#trace.push({ call, args, task });
    return this;
  }
}

function taskId(partitionId: number, attemptNumber: number): TaskId {
  return { partitionId, attemptNumber, batchIdProp: null };
}
