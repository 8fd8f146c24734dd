import { join } from "node:path";
import { expect, it } from "vitest";
import { Home } from "../../local/home.ts";
import { run } from "../../local/runner.ts";
import { ThreadTasks } from "../../local/thread-tasks.ts";
import { DataSource } from "../../shared/contract/data-source.ts";
import { type Pipeline, pipeline } from "../../shared/contract/pipeline.ts";
import { DataSourceStreamReader, type Row } from "../../shared/contract/stream-reader.ts";
import { folderInMemory } from "../support/folder.ts";
import { collectGarbage, Drain } from "../support/memory.ts";

const WARM_UP = 600;
/** So many that a heap that shrinks or grows once by a megabyte, as it does, does not count. */
const MEASURED = 6000;
/** An event, a batch or an offset that something keeps has several hundred bytes. */
const MOST_PER_BATCH = 200;

class Reader extends DataSourceStreamReader<{ n: number }, { n: number }> {
  override initialOffset() {
    return { n: 0 };
  }
  override latestOffset({ n }: { n: number }) {
    return { n: n + 1 };
  }
  override partitions({ n }: { n: number }) {
    return [{ n }];
  }
  override *read(partition: { n: number }): Generator<Row> {
    yield partition;
  }
  override commit(): void {}
}
class Numbers extends DataSource {
  override schema = () => "n int";
  override streamReader = () => new Reader();
}

function heapUsed(): number {
  collectGarbage();
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

it("The memory of a run does not grow with the number of its batches", async () => {
  const definition = pipeline("flat")
    .readStream.format(Numbers)
    .writeStream.format(Drain) as unknown as Pipeline;
  const folder = folderInMemory();
  const stopping = new AbortController();
  const measured: number[] = [];
  let batches = 0;
  await run(
    {
      pipeline: definition,
      entry: join(folder, "pipeline.ts"),
      home: new Home(folder),
      trigger: { processingTime: "1 millisecond" },
      maxConcurrency: 1,
      maxAttempts: 1,
      signal: stopping.signal,
      onEvent: ({ type }) => {
        if (type !== "batch") return;
        batches++;
        if (batches === WARM_UP || batches === WARM_UP + MEASURED) measured.push(heapUsed());
        if (batches === WARM_UP + MEASURED) stopping.abort();
      },
    },
    (_threads, setup) => {
      const tasks = new ThreadTasks(setup, async () => definition);
      return { run: (request, listener) => tasks.run(request, listener), destroy: () => tasks.close() };
    },
  );
  const [before = 0, after = 0] = measured;
  expect(batches).toBe(WARM_UP + MEASURED);
  expect((after - before) / MEASURED).toBeLessThan(MOST_PER_BATCH);
}, 300_000);
