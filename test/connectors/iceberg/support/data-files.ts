import type { RecordBatch } from "apache-arrow";
import { expect } from "vitest";
import { recordBatchOf } from "../../../../shared/arrow/record-batches.ts";
import { FileIo } from "../../../../shared/connectors/iceberg/file-io.ts";
import { canonicalRows } from "../../../../shared/connectors/iceberg/files/canonical.ts";
import { dataFileJson, dataFileOf } from "../../../../shared/connectors/iceberg/files/data-file-json.ts";
import type { DataFileOptions } from "../../../../shared/connectors/iceberg/files/write-data-files.ts";
import { writeDataFiles } from "../../../../shared/connectors/iceberg/files/write-data-files.ts";
import {
  parsePartitionFields,
  partitionTypes,
} from "../../../../shared/connectors/iceberg/format/partition-spec.ts";
import { icebergSchemaOf } from "../../../../shared/connectors/iceberg/format/schema.ts";
import type { DataFile } from "../../../../shared/connectors/iceberg/format/types.ts";
import { parseDdl } from "../../../../shared/contract/ddl/parse.ts";
import type { Row } from "../../../../shared/contract/stream-reader.ts";
import { MemoryStore, memoryObjects } from "../../../../shared/platform/memory/memory-store.ts";

/** A table in memory. */
export function table() {
  const objects = memoryObjects(() => 0);
  const io = new FileIo((root) => new MemoryStore(objects, `${root.replace(/^\//, "")}/`), "/t");
  return { objects, io, keys: () => [...objects.objects.keys()] };
}

export const locationOf = (file: number, folder: string) => `/t/data/${folder}f${file}.parquet`;

export interface Written {
  readonly files: readonly DataFile[];
  readonly keys: readonly string[];
}

export async function written(
  ddl: string,
  rows: readonly Row[],
  options: Partial<DataFileOptions> & { readonly by?: readonly string[] } = {},
): Promise<Written> {
  const source = parseDdl(ddl);
  const schema = options.schema ?? icebergSchemaOf(source).schema;
  const { io, keys } = table();
  const { apply } = canonicalRows(source, schema, {}, "refuse");
  const spec = { "spec-id": 0, fields: parsePartitionFields(options.by ?? [], schema) };
  const files = await writeDataFiles([apply(recordBatchOf(source, rows), 0)], {
    schema,
    spec,
    io,
    locationOf,
    ...options,
  });
  const types = partitionTypes(spec, schema);
  for (const file of files) {
    expect(dataFileOf(JSON.parse(JSON.stringify(dataFileJson(file, types))), types)).toEqual(file);
  }
  return { files, keys: keys() };
}

/** Rows of a number, a text that repeats and one that does not. */
export const NUMBERS = "id bigint NOT NULL, kind string, note string";
export const numbers = (count: number, from = 0): Row[] =>
  Array.from({ length: count }, (_, i) => [
    BigInt(from + i),
    `kind ${i % 5}`,
    `note ${((from + i) * 7919) % 1_000_003}`,
  ]);

/** Yields record batches of `rows` rows each. */
export function* batchesOf(batches: number, rows: number): Generator<RecordBatch> {
  const source = parseDdl(NUMBERS);
  const { schema } = icebergSchemaOf(source);
  const { apply } = canonicalRows(source, schema, {}, "refuse");
  for (let i = 0; i < batches; i++) yield apply(recordBatchOf(source, numbers(rows, i * rows)), i * rows);
}

export const SCHEMA = icebergSchemaOf(parseDdl(NUMBERS)).schema;
export const specBy = (...texts: string[]) => ({ "spec-id": 0, fields: parsePartitionFields(texts, SCHEMA) });
