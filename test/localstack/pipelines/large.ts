import {
  type BatchContext,
  DataSource,
  DataSourceStreamReader,
  DataSourceStreamWriter,
  pipeline,
  type Row,
} from "millrace";

/** A pipeline whose schema, partitions and commit messages are far larger than an item. */

const COLUMNS = Array.from({ length: 5000 }, (_, i) => `a_column_with_a_long_name_${i}`);
const PARTITION_CHARACTERS = 300_000;
const MESSAGE_CHARACTERS = 5_000_000;

type Position = { readonly n: number };
type Slice = { readonly n: number; readonly pad: string };
type Message = { readonly columns: number; readonly partition: number; readonly pad: string };

class LargeReader extends DataSourceStreamReader<Position, Slice> {
  override initialOffset(): Position {
    return { n: 0 };
  }

  override latestOffset(): Position {
    return { n: 2 };
  }

  override partitions(): Slice[] {
    return [0, 1].map((n) => ({ n, pad: "p".repeat(PARTITION_CHARACTERS) }));
  }

  override *read({ n, pad }: Slice): Generator<Row> {
    yield Object.fromEntries(COLUMNS.map((name) => [name, `${n}: ${pad.length}`]));
  }
}

class LargeSource extends DataSource {
  override schema(): string {
    return COLUMNS.map((name) => `${name} string`).join(", ");
  }

  override streamReader(): LargeReader {
    return new LargeReader();
  }
}

/** Its commit puts one object, which says what has arrived. */
class LargeWriter extends DataSourceStreamWriter<Message> {
  override async write(rows: AsyncIterable<Readonly<Record<string, unknown>>>): Promise<Message> {
    let arrived: Message = { columns: 0, partition: 0, pad: "" };
    for await (const row of rows) {
      const partition = Number(String(row[COLUMNS.at(-1) ?? ""]).split(": ")[1]);
      arrived = { columns: Object.keys(row).length, partition, pad: "m".repeat(MESSAGE_CHARACTERS) };
    }
    return arrived;
  }

  override async commit(
    messages: readonly (Message | null)[],
    _batchId: number,
    batch: BatchContext,
  ): Promise<void> {
    const arrived = messages.map((one) => ({ ...one, pad: one?.pad.length }));
    await batch.store.put("source/arrived.json", Buffer.from(JSON.stringify(arrived)));
  }

  override async abort(): Promise<void> {}
}

class LargeSink extends DataSource {
  override streamWriter(): LargeWriter {
    return new LargeWriter();
  }
}

export default pipeline("numbers").readStream.format(LargeSource).writeStream.format(LargeSink);
