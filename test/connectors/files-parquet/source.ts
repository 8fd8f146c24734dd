import type { RecordBatch, Schema } from "apache-arrow";
import { Files, type FilesOptions } from "../../../shared/connectors/files/index.ts";
import type { TaskContext } from "../../../shared/contract/context.ts";
import type { MillraceError } from "../../../shared/contract/errors.ts";
import { parseOptions } from "../../../shared/contract/options/parse.ts";
import { withStores } from "../../support/runtime.ts";

export const task = { signal: new AbortController().signal } as TaskContext;

export type ParquetOptions = Omit<FilesOptions, "format">;

/** Returns the source of the Parquet files in a folder. */
export async function parquetSource(options: ParquetOptions): Promise<Files> {
  const runtime = {
    now: Date.now,
    monotonic: Date.now,
    random: () => 0.5,
    newId: () => "id",
    sleep: async () => undefined,
    env: {},
  };
  return new Files(await parseOptions(Files, { format: "parquet", ...options }), withStores(runtime));
}

/** Yields the record batches of all files, with the schema of the first file if none is given. */
export async function* batchesOf(options: ParquetOptions, given?: Schema): AsyncGenerator<RecordBatch> {
  const files = await parquetSource(options);
  const reader = files.reader(given ?? (await files.schema()));
  for (const partition of await reader.partitions())
    yield* reader.read(partition, task) as AsyncIterable<RecordBatch>;
}

/** Returns the error of a call that must fail. */
export async function failure(body: Promise<unknown>): Promise<MillraceError> {
  return (await body.then(
    () => {
      throw new Error("it did not fail");
    },
    (error: unknown) => error,
  )) as MillraceError;
}
