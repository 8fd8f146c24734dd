import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { DataSource, DataSourceReader, type NamedRow, pipeline, type Row, type TaskContext } from "millrace";
import { ArrowTable } from "millrace/connectors/arrow-table";
import {
  BatchWrite,
  DataWriter,
  type DataWriterFactory,
  type SupportsWrite,
  type TableCapability,
  Write,
  type WriteBuilder,
} from "millrace/write";

/**
 * Forty numbers in four partitions, of which one task misbehaves in its first attempt. They go to
 * an Arrow table, or to a table of files in `SLOW_FOLDER` whose commits are coordinated.
 */
const folder = process.env["SLOW_FOLDER"];
const fault = process.env["SLOW_FAULT"] ?? "";

const isFaulty = (where: string, { partitionId, attemptNumber }: TaskContext) =>
  fault === where && partitionId === 2 && attemptNumber === 0;

class Numbers extends DataSource {
  override schema(): string {
    return "n bigint NOT NULL";
  }

  override reader(): NumbersReader {
    return new NumbersReader();
  }
}

class NumbersReader extends DataSourceReader<number> {
  override partitions(): number[] {
    return [0, 10, 20, 30];
  }

  override async *read(from: number, task: TaskContext): AsyncGenerator<Row> {
    yield { n: from };
    if (isFaulty("hang", task)) await sleep(1e6);
    if (isFaulty("hang and heed nothing", task)) for (;;) await null;
    for (let n = from + 1; n < from + 10; n++) yield { n };
  }
}

interface Message {
  readonly rows: readonly NamedRow[];
  readonly attemptNumber: number;
}

/** Notes when a commit of a task begins and ends. */
function note(what: string, { partitionId, attemptNumber }: TaskContext): void {
  if (folder !== undefined)
    appendFileSync(join(folder, "calls"), `${what} ${partitionId}.${attemptNumber}\n`);
}

function notes(): string {
  return readFileSync(join(folder ?? "", "calls"), "utf8");
}

class RowsWriter extends DataWriter<NamedRow, Message> {
  readonly #rows: NamedRow[] = [];
  readonly #task: TaskContext;

  constructor(task: TaskContext) {
    super();
    this.#task = task;
  }

  override write(row: NamedRow): void {
    this.#rows.push({ n: Number(row["n"]) });
  }

  override async commit(): Promise<Message> {
    note("commit", this.#task);
    if (isFaulty("wait in commit", this.#task)) while (!notes().includes("abort 2.1")) await sleep(20);
    if (isFaulty("die in commit", this.#task)) {
      setTimeout(() => {
        throw new Error("the connection is gone");
      }, 1000);
      await new Promise(() => undefined);
    }
    note("committed", this.#task);
    return { rows: this.#rows, attemptNumber: this.#task.attemptNumber };
  }

  override abort(): void {
    note("abort", this.#task);
  }
}

class RowsWrite extends BatchWrite<Message> {
  override createBatchWriterFactory(): DataWriterFactory<Message> {
    return { createWriter: (_partitionId, _taskId, task) => new RowsWriter(task) };
  }

  override commit(messages: readonly (Message | null)[]): void {
    const rows = messages.flatMap((message) => message?.rows ?? []);
    writeFileSync(join(folder ?? "", "rows"), JSON.stringify(rows.map(({ n }) => n)));
  }

  override abort(): void {}
}

class RowsTable implements SupportsWrite, WriteBuilder {
  readonly name = "rows";
  readonly capabilities = new Set<TableCapability>(["BATCH_WRITE"]);

  newWriteBuilder(): WriteBuilder {
    return this;
  }

  build(): Write {
    return new (class RowsOnDisk extends Write {
      override toBatch(): RowsWrite {
        return new RowsWrite();
      }
    })();
  }
}

class Rows extends DataSource {
  override table(): RowsTable {
    return new RowsTable();
  }
}

const numbers = pipeline("slow").read.format(Numbers).write;

export default folder === undefined ? numbers.format(ArrowTable) : numbers.format(Rows).mode("append");
