import type { TaskContext } from "../../../shared/contract/context.ts";
import type { Offset } from "../../../shared/contract/offset.ts";
import type { ReadLimit } from "../../../shared/contract/read-limit.ts";
import { DataSourceStreamReader, type Row } from "../../../shared/contract/stream-reader.ts";
import { type Part, reprOf } from "../batch-step.ts";
import type { Args } from "../trace.ts";
import { fault, log, type Options } from "./log.ts";

/** Returns the number in an offset. */
export const numberOf = (offset: Offset): number => Number(offset["n"]);

export class StreamReader extends DataSourceStreamReader<Offset, Part> {
  readonly options: Options;
  readonly step: number;
  readonly count: number;
  readonly max: number;
  #task: TaskContext | undefined;

  constructor(options: Options) {
    super();
    this.options = options;
    this.step = Number(options["step"] ?? 8);
    this.count = Number(options["partitions"] ?? 4);
    this.max = Number(options["max"] ?? 24);
  }

  /** Logs a call and, if the reader belongs to a task, the task. */
  log(call: string, args: Args): void {
    log(this.options, call, args, this.#task);
  }

  override initialOffset(): Offset {
    fault(this.options, "initialOffset", {});
    this.log("reader.initialOffset", { returns: { n: 0 } });
    return { n: 0 };
  }

  override latestOffset(start: Offset, limit: ReadLimit): Offset {
    fault(this.options, "latestOffset", { start: numberOf(start) });
    const end = { n: Math.min(numberOf(start) + this.step, this.max) };
    this.log("reader.latestOffset", { start, limit: String(limit), returns: end });
    return end;
  }

  override partitions(start: Offset, end: Offset): Part[] {
    fault(this.options, "partitions", { start: numberOf(start) });
    const [from, to] = [numberOf(start), numberOf(end)];
    const width = Math.floor((to - from) / this.count) || 1;
    const parts: Part[] = [];
    for (let i = 0; i < this.count && to > from; i++) {
      const isLast = i === this.count - 1;
      parts.push({ idx: i, start: from + i * width, end: isLast ? to : from + (i + 1) * width });
    }
    this.log("reader.partitions", { start, end, returns: parts.map(reprOf) });
    return parts;
  }

  override read(part: Part, task: TaskContext): Iterable<Row> {
    this.#task = task;
    return this.rows(part, task);
  }

  *rows(part: Part, task: TaskContext): Iterable<Row> {
    this.log("reader.read:enter", { partition: reprOf(part) });
    for (let i = part.start; i < part.end; i++) {
      if (i === part.start + 1) fault(this.options, "read", { idx: part.idx, start: part.start }, task);
      yield [BigInt(i), part.idx];
    }
    this.log("reader.read:exit", { partition: reprOf(part) });
  }

  override commit(end: Offset): void {
    this.log("reader.commit", { end });
    fault(this.options, "reader.commit", { end: numberOf(end) });
  }

  override stop(): void {
    this.log("reader.stop", {});
  }
}
