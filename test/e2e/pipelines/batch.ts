import { setTimeout } from "node:timers/promises";
import {
  DataSource,
  DataSourceReader,
  GreaterThanOrEqual,
  pipeline,
  type Row,
  type SaveMode,
  type TaskContext,
} from "millrace";
import { ArrowTable } from "millrace/connectors/arrow-table";

/**
 * A batch of the numbers below `BATCH_MAX`, with ten numbers per partition. Its filter keeps the
 * numbers from 5 on. A test sets the save mode and the fault.
 */
const max = Number(process.env["BATCH_MAX"] ?? 40);
const mode = process.env["BATCH_MODE"];
const fault = process.env["BATCH_FAULT"] ?? "";

type Slice = { from: number; to: number };

class NumbersReader extends DataSourceReader<Slice> {
  override partitions(): Slice[] {
    console.log("planning");
    const slices: Slice[] = [];
    for (let from = 0; from < max; from += 10) slices.push({ from, to: Math.min(from + 10, max) });
    return slices;
  }

  override async *read(slice: Slice, task: TaskContext): AsyncGenerator<Row> {
    for (let n = slice.from; n < slice.to; n++) yield { n, word: `number ${n}` };
    console.log(`read ${slice.from}`);
    if (fault === "hang" && task.partitionId === 2) await setTimeout(1e6);
    if (fault === "fail" && task.partitionId === 2) throw new Error("the source is ill");
  }
}

class Numbers extends DataSource {
  override schema(): string {
    return "n bigint NOT NULL, word string";
  }

  override reader(): NumbersReader {
    return new NumbersReader();
  }
}

const batch = pipeline("batch")
  .read.format(Numbers)
  .filter(new GreaterThanOrEqual("n", 5))
  .load()
  .write.format(ArrowTable);

export default mode === undefined ? batch : batch.mode(mode as SaveMode);
