import { DataSource } from "../../shared/contract/data-source.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import { pipeline } from "../../shared/contract/pipeline.ts";
import { DataSourceStreamReader, type Row } from "../../shared/contract/stream-reader.ts";
import { DataSourceStreamWriter } from "../../shared/contract/stream-writer.ts";
import { runPipeline } from "../../shared/testing/run-pipeline.ts";

const ALLOWED = 3;
const TRIES = 8;

/** A batch fails again and again. Only an error that will not pass may pause the pipeline. */
export async function pausesOfBatches(): Promise<readonly string[]> {
  const lasting = await abortsUntilPaused(new MillraceError("TABLE_SCHEMA_MISMATCH", "other columns"));
  const outage = await abortsUntilPaused(new Error("connect ECONNREFUSED"));
  return [
    ...(lasting === undefined ? ["a batch that cannot succeed is tried for ever"] : []),
    ...(lasting === undefined || lasting === ALLOWED
      ? []
      : [`the pipeline is paused after ${lasting} aborts`]),
    ...(outage === undefined ? [] : ["an outage pauses the pipeline"]),
  ];
}

/** Returns after how many aborts the pipeline was paused; `undefined` if it never was. */
async function abortsUntilPaused(failure: Error): Promise<number | undefined> {
  let isFailing = false;
  let end = 1;
  class Reader extends DataSourceStreamReader<{ n: number }, { n: number }> {
    override initialOffset(): { n: number } {
      return { n: 0 };
    }
    override latestOffset(): { n: number } {
      return { n: end };
    }
    override partitions({ n }: { n: number }): { n: number }[] {
      return [{ n }];
    }
    override *read(row: { n: number }): Generator<Row> {
      yield row;
    }
  }
  class Writer extends DataSourceStreamWriter<null> {
    override async write(rows: AsyncIterable<unknown>): Promise<null> {
      for await (const _row of rows);
      return null;
    }
    override commit(): void {
      if (isFailing) throw failure;
    }
    override abort(): void {}
  }
  class Numbers extends DataSource {
    override schema(): string {
      return "n bigint NOT NULL";
    }
    override streamReader(): Reader {
      return new Reader();
    }
    override streamWriter(): Writer {
      return new Writer();
    }
  }
  const numbers = pipeline("numbers").readStream.format(Numbers).writeStream.format(Numbers);
  const definition = numbers.pauseAfterAborts(ALLOWED);
  const first = await runPipeline(definition);
  isFailing = true;
  end = 2;
  for (let aborts = 0; aborts < TRIES; aborts++) {
    const error: unknown = await runPipeline(definition, { after: first }).catch((thrown: unknown) => thrown);
    if (MillraceError.is(error) && error.code === "PIPELINE_PAUSED") return aborts;
  }
  return undefined;
}
