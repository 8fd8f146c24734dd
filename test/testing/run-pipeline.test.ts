import { describe, expect, it } from "vitest";
import { ArrowTable } from "../../shared/connectors/arrow-table/index.ts";
import { liveFiles } from "../../shared/connectors/arrow-table/open-state.ts";
import { Rate } from "../../shared/connectors/rate/index.ts";
import { DataSourceReader } from "../../shared/contract/batch-reader.ts";
import { DataSource } from "../../shared/contract/data-source.ts";
import { pipeline } from "../../shared/contract/pipeline.ts";
import { DataSourceStreamReader } from "../../shared/contract/stream-reader.ts";
import { runPipeline } from "../../shared/testing/index.ts";

const script = { fails: false };

class NumberReader extends DataSourceStreamReader<{ n: number }, { from: number; to: number }> {
  override initialOffset() {
    return { n: 0 };
  }
  override latestOffset({ n }: { n: number }) {
    return { n: Math.min(n + 4, 10) };
  }
  override partitions(start: { n: number }, end: { n: number }) {
    const middle = Math.floor((start.n + end.n) / 2);
    return [
      { from: start.n, to: middle },
      { from: middle, to: end.n },
    ];
  }
  override *read({ from, to }: { from: number; to: number }) {
    for (let n = from; n < to; n++) {
      if (script.fails && n === 6) throw new Error("the sixth is broken");
      yield { n };
    }
  }
}

class Numbers extends DataSource {
  override schema() {
    return "n int NOT NULL";
  }
  override streamReader() {
    return new NumberReader();
  }
  override reader() {
    return new (class extends DataSourceReader {
      override *read() {
        yield [1];
        yield [2];
      }
    })();
  }
}

const numbers = pipeline("numbers").readStream.format(Numbers).writeStream.format(ArrowTable);
const ns = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => ({ n: from + i }));

describe("runPipeline", () => {
  it("runPipeline returns batches, rows, messages and the offset of as many batches as are asked for", async () => {
    const run = await runPipeline(numbers, { batches: 2 });
    expect(run.rows).toEqual(ns(0, 8));
    expect(run.offset).toEqual({ n: 8 });
    expect(run.batches).toMatchObject([
      { batchId: 0, start: { n: 0 }, end: { n: 4 }, attempt: 1, partitions: 2, rows: ns(0, 4) },
      {
        batchId: 1,
        start: { n: 4 },
        end: { n: 8 },
        messages: [{ files: [{ rows: 2 }] }, { files: [{ rows: 2 }] }],
      },
    ]);
    expect(await Array.fromAsync(liveFiles(run.store.at("table")))).toHaveLength(4);
  });

  it("runPipeline continues after an earlier run and ends if there is no new data", async () => {
    const first = await runPipeline(numbers, { batches: 1 });
    const rest = await runPipeline(numbers, { batches: 10, after: first });
    expect(rest.batches.map(({ batchId }) => batchId)).toEqual([1, 2]);
    expect(rest.rows).toEqual(ns(4, 10));
  });

  it("runPipeline without a number of batches has one if the reader is unbounded, as in Spark", async () => {
    expect((await runPipeline(numbers)).batches).toHaveLength(1);
  });

  it("runPipeline throws what a task throws, and the next run replays the batch", async () => {
    const first = await runPipeline(numbers, { batches: 1 });
    script.fails = true;
    await expect(runPipeline(numbers, { batches: 5, after: first })).rejects.toMatchObject({
      code: "SOURCE_FAILED",
      where: { pipeline: "numbers", batchId: 1, partition: 1 },
    });
    script.fails = false;
    const again = await runPipeline(numbers, { batches: 1, after: first });
    expect(again.batches).toMatchObject([{ batchId: 1, attempt: 2, rows: ns(4, 8) }]);
  });

  it("runPipeline says that it was given a class or a wrong value, and what to do", async () => {
    await expect(runPipeline(Numbers as never)).rejects.toMatchObject({
      code: "CHECK_INVALID",
      message: "runPipeline was given the class Numbers",
      hint: expect.stringContaining(".readStream.format(Numbers)"),
    });
    await expect(runPipeline(undefined as never)).rejects.toMatchObject({ code: "CHECK_INVALID" });
  });

  it("runPipeline skips the interval of a trigger, until three intervals pass without new data", async () => {
    const rate = pipeline("rate").readStream.format(Rate).options({ rowsPerSecond: 1 });
    const ticking = rate.writeStream.format(ArrowTable).trigger({ processingTime: "2 seconds" });
    const { batches } = await runPipeline(ticking, { batches: 3, now: "2026-11-21T00:00:00Z" });
    expect(batches.map(({ rows }) => rows.length)).toEqual([2, 2, 2]);
    const ended = numbers.trigger({ processingTime: "1 second" });
    expect((await runPipeline(ended, { batches: 9 })).batches).toHaveLength(3);
  });

  it("runPipeline runs one batch of a batch pipeline", async () => {
    const batch = pipeline("numbers").read.format(Numbers).write.format(ArrowTable).mode("append");
    const first = await runPipeline(batch);
    expect(first.rows).toEqual([{ n: 1 }, { n: 2 }]);
    const second = await runPipeline(batch.mode("overwrite"), { after: first });
    expect(second.batches).toMatchObject([{ batchId: 1 }]);
    expect(await Array.fromAsync(liveFiles(second.store.at("table")))).toHaveLength(1);
  });
});
