import type { TaskContext } from "../../context.ts";
import { MillraceError } from "../../errors.ts";
import { kindOf } from "../../json.ts";
import type { Awaitable } from "../../stream-reader.ts";
import {
  type AnyDataWriter,
  DataWriter as CurrentDataWriter,
  type DataWriterFactory as CurrentFactory,
  type StreamingDataWriterFactory,
} from "../data-writer.ts";
import type { DataWriter, DataWriterFactory } from "./writer.ts";

type Fields = Record<string, unknown>;

/** A factory may also be an object with this function, which each task's own factory has. */
const METHOD = "createDataWriter";

/**
 * Has the own fields of a factory as its own fields, because the engine records these and restores
 * them in each task.
 */
abstract class Carrier {
  readonly #factory: DataWriterFactory<unknown>;
  readonly #hasPartitions: boolean;

  constructor(factory: DataWriterFactory<unknown>, hasPartitions: boolean) {
    if (typeof factory?.[METHOD] !== "function") throw invalid("createWriterFactory", factory, METHOD);
    this.#factory = factory;
    this.#hasPartitions = hasPartitions;
    Object.assign(this, fieldsOf(factory));
  }

  /** Assigns the restored fields to the factory, and returns the writer of one task attempt. */
  protected async open(partitionId: number, task: TaskContext): Promise<AnyDataWriter<unknown>> {
    // Spark 2.3 runs no task if the source has no partition.
    if (!this.#hasPartitions) return new NoWriter() as AnyDataWriter<unknown>;
    const factory = this.#factory;
    const restored = fieldsOf(this);
    for (const name of Object.keys(fieldsOf(factory)))
      if (!(name in restored)) Reflect.deleteProperty(factory, name);
    Object.assign(factory, restored);
    const writer = await factory.createDataWriter(partitionId, task.attemptNumber, task);
    if (typeof writer?.write !== "function") throw invalid(METHOD, writer, "write");
    return new WriterOfAttempt(writer) as AnyDataWriter<unknown>;
  }
}

function fieldsOf(object: object): Fields {
  const isMethod = ([name, value]: [string, unknown]) => name === METHOD && typeof value === "function";
  return Object.fromEntries(Object.entries(object).filter((field) => !isMethod(field)));
}

function invalid(method: string, found: unknown, needed: string): MillraceError {
  const what = typeof found === "object" && found !== null ? `an object without ${needed}()` : kindOf(found);
  return new MillraceError("WRITER_INVALID", `${method}() returned ${what}`, {
    hint: `Return an object with ${needed}().`,
  });
}

export class FactoryCarrier extends Carrier implements CurrentFactory<unknown> {
  createWriter(partitionId: number, _taskId: number, task: TaskContext): Promise<AnyDataWriter<unknown>> {
    return this.open(partitionId, task);
  }
}

export class StreamFactoryCarrier extends Carrier implements StreamingDataWriterFactory<unknown> {
  createWriter(
    partitionId: number,
    _taskId: number,
    _epochId: number,
    task: TaskContext,
  ): Promise<AnyDataWriter<unknown>> {
    return this.open(partitionId, task);
  }
}

class WriterOfAttempt extends CurrentDataWriter<unknown, unknown> {
  override readonly form: "rows" | "arrow";
  readonly #writer: DataWriter<unknown, unknown>;

  constructor(writer: DataWriter<never, unknown>) {
    super();
    this.form = writer.form ?? "rows";
    this.#writer = writer as DataWriter<unknown, unknown>;
  }

  override write(record: unknown): Awaitable<void> {
    return this.#writer.write(record);
  }

  override commit(): Awaitable<unknown> {
    return this.#writer.commit();
  }

  override abort(): Awaitable<void> {
    return this.#writer.abort();
  }
}

/** The writer of the one task that Millrace runs for a batch without partitions. */
class NoWriter extends CurrentDataWriter<unknown, null> {
  override write(): never {
    throw new Error("a batch without partitions has no rows");
  }

  override commit(): null {
    return null;
  }

  override abort(): void {}
}
