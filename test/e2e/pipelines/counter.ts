import { setInterval } from "node:timers";
import { setTimeout } from "node:timers/promises";
import { DataSource, DataSourceStreamReader, pipeline, type Row, type TaskContext } from "millrace";
import { ArrowTable } from "millrace/connectors/arrow-table";

/**
 * A source of rows 0 to `COUNTER_MAX`. Each batch has two partitions of ten rows. A test sets the
 * faults.
 */
const max = Number(process.env["COUNTER_MAX"] ?? 60);
const fault = process.env["COUNTER_FAULT"] ?? "";
const delay = Number(process.env["COUNTER_DELAY"] ?? 0);

type Position = { n: number };
type Slice = { from: number; to: number };

class CounterReader extends DataSourceStreamReader<Position, Slice> {
  #target = max;

  prepareForTriggerAvailableNow(): void {
    this.#target = max;
  }

  override initialOffset(): Position {
    return { n: 0 };
  }

  override async latestOffset(start: Position): Promise<Position> {
    console.log("planning");
    if (start.n === 20 && fault === "hang in planning") await new Promise(() => undefined);
    return { n: Math.min(start.n + 20, this.#target) };
  }

  override partitions(start: Position, end: Position): Slice[] {
    const slices: Slice[] = [];
    for (let from = start.n; from < end.n; from += 10) slices.push({ from, to: Math.min(from + 10, end.n) });
    return slices;
  }

  override async *read(slice: Slice, task: TaskContext): AsyncGenerator<Row> {
    console.log("reading");
    for (let n = slice.from; n < slice.to; n++) {
      if (delay > 0) await setTimeout(delay);
      if (n === 20 && fault === "stuck") throw new Error("the source is ill");
      if (n === 33) yield* this.#misbehave(task.attemptNumber);
      yield { n, word: `number ${n}` };
    }
  }

  /** Injects the fault before row 33. */
  async *#misbehave(attempt: number): AsyncGenerator<Row> {
    switch (fault) {
      case "bad row":
        yield { n: 33, word: 7 };
        break;
      case "missing field":
        yield { n: 33 };
        break;
      case "exit":
        return process.exit(1);
      case "fail twice":
        if (attempt < 2) throw new Error("the source is tired");
        break;
      case "fail always":
        throw new Error("the source is ill");
      case "stuck":
        for (;;) await null;
      case "hang":
        await setTimeout(1e6);
        break;
      case "hang once":
        if (attempt === 0) await setTimeout(1e6);
    }
  }

  override async commit(end: Position): Promise<void> {
    if (fault === "hang in commit") await new Promise(() => undefined);
    if (fault === "commit offset" && end.n === 40) throw new Error("cannot forget");
  }
}

class Counter extends DataSource {
  // A timer that user code leaves running. The run must end anyway.
  readonly timer: NodeJS.Timeout = setInterval(() => undefined, 1000);

  override schema(): string {
    return "n bigint NOT NULL, word string";
  }

  override streamReader(): CounterReader {
    return new CounterReader();
  }
}

export default pipeline("counter").readStream.format(Counter).writeStream.format(ArrowTable);
