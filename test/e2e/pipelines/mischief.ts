import { setTimeout as sleep } from "node:timers/promises";
import { DataSource, DataSourceStreamReader, DataSourceStreamWriter, pipeline, type Row } from "millrace";

/** One batch of ten numbers. `MISCHIEF` is what its code does, and `MISCHIEF_IN` is where. */
const what = process.env["MISCHIEF"];

async function mischief(place: string): Promise<void> {
  if (process.env["MISCHIEF_IN"] !== place) return;
  if (what === "exit") process.exit(0);
  if (what === "kill") process.kill(process.pid, "SIGKILL");
  if (what === "rejection") void Promise.reject(new Error("a forgotten promise"));
  if (what === "callback") {
    setImmediate(() => {
      throw new Error("a callback that throws");
    });
  }
  if (what === "error") throw new Error(`${place} fails`);
  await sleep(300);
}

await mischief("load");

class Reader extends DataSourceStreamReader<{ n: number }, { from: number }> {
  override initialOffset() {
    return { n: 0 };
  }

  override async latestOffset() {
    await mischief("latestOffset");
    return { n: 10 };
  }

  override async partitions() {
    await mischief("partitions");
    return [{ from: 0 }];
  }

  override async *read(): AsyncGenerator<Row> {
    await mischief("read");
    if (process.env["MISCHIEF_TASK_FAILS"] !== undefined) throw new Error("the task fails");
    for (let n = 0; n < 10; n++) yield [n];
  }

  override async commit() {
    await mischief("acknowledge");
  }

  override async stop() {
    await mischief("stop");
  }
}

class Numbers extends DataSource {
  override schema() {
    return "n int";
  }

  override streamReader() {
    return new Reader();
  }
}

class Writer extends DataSourceStreamWriter<null> {
  override async write(rows: AsyncIterable<Row>) {
    await mischief("write");
    for await (const _ of rows);
    return null;
  }

  override async commit() {
    await mischief("commit");
    if (process.env["MISCHIEF_COMMIT_FAILS"] !== undefined) throw new Error("the commit fails");
  }

  override async abort() {
    await mischief("abort");
  }
}

class Sink extends DataSource {
  override streamWriter() {
    return new Writer();
  }
}

export default pipeline("mischief")
  .readStream.format(Numbers)
  .writeStream.format(Sink)
  .trigger({ availableNow: true });
