import {
  type BatchContext,
  DataSource,
  DataSourceStreamWriter,
  type NamedRow,
  pipeline,
  SimpleDataSourceStreamReader,
  type SimpleRead,
  type TaskContext,
} from "millrace";

/**
 * Reads four numbers per batch with a simple reader and writes one file of JSON lines per batch.
 * Each row contains the word that the source had when it was read.
 */
const word = process.env["SIMPLE_WORD"] ?? "";
const fault = process.env["SIMPLE_FAULT"] ?? "";

type Position = { n: number };
type Message = { key: string };

class NumbersReader extends SimpleDataSourceStreamReader<Position> {
  override initialOffset(): Position {
    return { n: 0 };
  }

  override read(start: Position): SimpleRead<Position> {
    const offset = { n: Math.min(start.n + 4, 12) };
    console.log(`read ${start.n}`);
    return { rows: this.readBetweenOffsets(start, offset), offset };
  }

  override *readBetweenOffsets(start: Position, end: Position): Generator<NamedRow> {
    for (let n = start.n; n < end.n; n++) yield { n, word };
  }
}

class Numbers extends DataSource {
  override schema(): string {
    return "n bigint NOT NULL, word string";
  }

  override simpleStreamReader(): NumbersReader {
    return new NumbersReader();
  }
}

class LinesWriter extends DataSourceStreamWriter<Message> {
  override async write(rows: AsyncIterable<NamedRow>, task: TaskContext): Promise<Message> {
    const lines: string[] = [];
    for await (const row of rows) lines.push(JSON.stringify(row));
    console.log(`writing ${lines.length}`);
    if (fault === "hang") await new Promise(() => setTimeout(() => undefined, 1e6));
    const key = `staged/${task.batchId}-${task.attempt}-${task.attemptNumber}-${process.pid}.jsonl`;
    await task.store.put(key, Buffer.from(`${lines.join("\n")}\n`));
    return { key };
  }

  override async commit(
    messages: readonly (Message | null)[],
    batchId: number,
    batch: BatchContext,
  ): Promise<void> {
    const files: Uint8Array[] = [];
    for (const { key } of messages.filter((message) => message !== null)) {
      const file = await batch.store.get(key);
      if (file === undefined) throw new Error(`${key} is gone`);
      files.push(file);
    }
    // `put` writes the file only if it does not exist, so a second commit of a batch changes
    // nothing.
    await batch.store.put(`lines/${batchId}.jsonl`, Buffer.concat(files));
  }

  override async abort(
    messages: readonly (Message | null)[],
    _batchId: number,
    batch: BatchContext,
  ): Promise<void> {
    if (!batch.commitTried)
      await batch.store.delete(messages.flatMap((message) => (message === null ? [] : [message.key])));
  }
}

class Lines extends DataSource {
  override streamWriter(): LinesWriter {
    return new LinesWriter();
  }
}

export default pipeline("simple").readStream.format(Numbers).writeStream.format(Lines);
