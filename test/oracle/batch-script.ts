import type { JsonValue } from "../../shared/contract/json.ts";
import type { Args, Entry, Recording, TaskId } from "./trace.ts";

/** The end of a task that writes: the number of rows that it wrote, or the fault that ended it. */
export type WriterTask =
  | { readonly partition: number; readonly attempt?: number; readonly rows: number }
  | { readonly partition: number; readonly attempt?: number; readonly ends: string };

const READ = "struct<id:bigint,name:string,v:double>";

/** Writes a trace of batches in Spark's form, for cases that no recording contains. */
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

  /** Adds the start of an action that reads. */
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

  /**
   * Adds all calls of the task that reads partition `idx`. `seen` lists the filters of the reader.
   */
  part(idx: number, start: number, end: number, ...seen: readonly string[]): this {
    const partition = `Part(idx=${idx},start=${start},end=${end})`;
    const task = taskId(idx, 0);
    return this.#inTask(task, "reader.read:enter", { partition, filters_seen: seen }).#inTask(
      task,
      "reader.read:exit",
      { partition },
    );
  }

  /** Adds the start of an action that writes. */
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
   * Adds the commit or the abort of a batch. `tasks` has one item per partition, in order, and
   * `null` for a failed task.
   */
  end(how: "commit" | "abort", tasks: readonly (WriterTask | null)[]): this {
    const messages = tasks.map((task) => {
      if (task === null || !("rows" in task)) return null;
      return { partition: task.partition, attempt: task.attempt ?? 0, rows: task.rows, lo: 0, hi: 0 };
    });
    return this.call(`writer.${how}`, { messages });
  }

  /** Adds all calls of a write without a fault. `rows` has the number of rows of each partition. */
  written(...rows: readonly number[]): this {
    const tasks = rows.map((count, partition) => ({ partition, rows: count }));
    for (const task of tasks) this.task(task);
    return this.end("commit", tasks).call("writer.commit:return").returned();
  }

  returned(value: JsonValue = null): this {
    return this.call("== driver: returned", { value });
  }

  /** Adds the end of an action that failed. `points` are the points of the faults in its error. */
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
