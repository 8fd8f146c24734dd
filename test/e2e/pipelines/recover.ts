import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { DataSource, DataSourceStreamReader, pipeline, type Row } from "millrace";
import { ArrowTable } from "millrace/connectors/arrow-table";

/**
 * Rows from 0 to the number in the file `count`, two partitions in each batch. What a test wants is
 * in files of the project's folder and in the environment.
 */
const file = (name: string) => join(process.env["PROJECT"] ?? "", name);
const numberIn = (name: string) => (existsSync(file(name)) ? Number(readFileSync(file(name), "utf8")) : -1);

type Position = { n: number };
type Slice = { from: number; to: number; isLast?: boolean };

class Reader extends DataSourceStreamReader<Position, Slice> {
  override initialOffset(): Position {
    return { n: 0 };
  }

  override latestOffset(): Position {
    return { n: numberIn("count") };
  }

  override partitions({ n: from }: Position, { n: to }: Position): Slice[] {
    const half = Math.ceil((from + to) / 2);
    return [
      { from, to: half },
      { from: half, to, isLast: true },
    ];
  }

  override async *read({ from, to, isLast }: Slice): AsyncGenerator<Row> {
    if (isLast === true && process.env["HANG"] !== undefined) await setTimeout(1e6);
    for (let n = from; n < to; n++) {
      if (n === numberIn("poison")) throw new Error("a row that cannot be read");
      if (n < numberIn("deleted")) throw new Error(`row ${n} was deleted from the queue`);
      yield { n };
    }
  }
}

/** Deletes what it is told to forget, as a queue does. */
class QueueReader extends Reader {
  override commit({ n }: Position): void {
    if (numberIn("deaf") >= 0) throw new Error("the queue does not answer");
    writeFileSync(file("deleted"), String(n));
  }
}

/** Keeps the rows of a skipped batch elsewhere. */
class CarefulReader extends QueueReader {
  setAside(start: Position, end: Position): string {
    writeFileSync(file("aside"), JSON.stringify([start, end]));
    return "the file aside";
  }
}

const READERS: Readonly<Record<string, new () => Reader>> = { queue: QueueReader, careful: CarefulReader };

class Numbers extends DataSource {
  override schema(): string {
    return "n bigint NOT NULL";
  }

  override streamReader(): Reader {
    return new (READERS[process.env["SOURCE"] ?? ""] ?? Reader)();
  }
}

const path = process.env["TABLE"];
export default pipeline("recover")
  .readStream.format(Numbers)
  .writeStream.format(ArrowTable)
  .options(path === undefined ? {} : { path });
