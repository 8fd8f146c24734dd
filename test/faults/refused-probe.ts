import type { RecordBatch } from "apache-arrow";
import { valueRowsOf } from "../../shared/arrow/rows.ts";
import type { RefusedRows } from "../../shared/contract/bad-rows.ts";
import type { BatchContext } from "../../shared/contract/context.ts";
import { DataSource } from "../../shared/contract/data-source.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import { pipeline } from "../../shared/contract/pipeline.ts";
import { DataSourceStreamReader, type Row } from "../../shared/contract/stream-reader.ts";
import {
  DataSourceStreamArrowWriter,
  type SupportsRefusedRows,
} from "../../shared/contract/stream-writer.ts";
import { runPipeline } from "../../shared/testing/run-pipeline.ts";

/** The row that the sink refuses. */
const REFUSED = 3;
const ROWS = 8;

/** What the sink has: rows, and what it keeps of the batches. */
class Target {
  readonly rows: number[] = [];
  readonly batches = new Map<number, RefusedRows | undefined>();
}

/** A sink refuses a row, and the run is killed before the ledger knows of the commit. */
export async function refusedRows(): Promise<readonly string[]> {
  const target = new Target();
  let end = 0;
  const definition = pipeline("refused")
    .readStream.format(numbersTo(() => end))
    .writeStream.format(sinkOf(target))
    .onBadRow("quarantine");
  const before = await runPipeline(definition);
  end = ROWS;
  const { ledger } = before.state;
  const killed = { ...before, state: { ...before.state, ledger: killedAtFinish(ledger) } };
  await runPipeline(definition, { after: killed }).catch(() => undefined);
  const { quarantine } = await runPipeline(definition, { after: before });
  const progress = (await ledger.batch("refused", 0))?.progress;
  return [
    ...(target.rows.length === ROWS - 1 ? [] : [`the sink has ${target.rows.length} rows`]),
    ...(quarantine.length === 1 ? [] : ["a row is neither in the sink nor in the quarantine once"]),
    ...(progress?.rows === ROWS - 1 ? [] : ["the batch counts rows that the sink refused"]),
  ];
}

type Ledger = Awaited<ReturnType<typeof runPipeline>>["state"]["ledger"];

function killedAtFinish(ledger: Ledger): Ledger {
  return new Proxy(ledger, {
    get(target, name) {
      if (name === "finish") return () => Promise.reject(new Error("killed"));
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function numbersTo(end: () => number) {
  class Reader extends DataSourceStreamReader<{ n: number }, { n: number }> {
    override initialOffset(): { n: number } {
      return { n: 0 };
    }
    override latestOffset(): { n: number } {
      return { n: end() };
    }
    override partitions({ n }: { n: number }): { n: number }[] {
      return [{ n }];
    }
    override *read({ n }: { n: number }): Generator<Row> {
      for (let id = n; id < end(); id++) yield { id };
    }
  }
  return class Numbers extends DataSource {
    override schema(): string {
      return "id int NOT NULL";
    }
    override streamReader(): Reader {
      return new Reader();
    }
  };
}

function sinkOf(target: Target) {
  class Writer extends DataSourceStreamArrowWriter<number[]> implements SupportsRefusedRows {
    override async write(batches: AsyncIterable<RecordBatch>): Promise<number[]> {
      const ids: number[] = [];
      for await (const batch of batches) for (const { id } of valueRowsOf(batch)) ids.push(Number(id));
      return ids;
    }
    override async commit(
      messages: readonly (number[] | null)[],
      batchId: number,
      batch: BatchContext,
    ): Promise<void> {
      if (target.batches.has(batchId)) return;
      const refused = batch.newRefusedRows?.();
      const taken: number[] = [];
      for (const id of messages.flatMap((ids) => ids ?? [])) {
        if (id === REFUSED) refused?.add(new MillraceError("ROW_MISMATCH", "no"), { row: { id } });
        else taken.push(id);
      }
      target.batches.set(batchId, await refused?.finish());
      target.rows.push(...taken);
    }
    override abort(): void {}
    hasCommitted(batchId: number): boolean {
      return target.batches.has(batchId);
    }
    refusedRows(batchId: number): RefusedRows | undefined {
      return target.batches.get(batchId);
    }
  }
  return class Sink extends DataSource {
    override streamWriter(): Writer {
      return new Writer();
    }
  };
}
