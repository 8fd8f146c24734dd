import { randomUUID } from "node:crypto";
import {
  CreateStreamCommand,
  DescribeStreamSummaryCommand,
  type GetRecordsCommandOutput,
  KinesisClient,
  ListShardsCommand,
  PutRecordsCommand,
  SplitShardCommand,
} from "@aws-sdk/client-kinesis";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { expect } from "vitest";
import { runtime as realRuntime } from "../../../local/home.ts";
import { toRecordBatches } from "../../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { Kinesis, type KinesisOptions } from "../../../shared/connectors/kinesis/index.ts";
import type { StreamOffset } from "../../../shared/connectors/kinesis/shards-plan.ts";
import { Stream } from "../../../shared/connectors/kinesis/stream.ts";
import { KinesisReader } from "../../../shared/connectors/kinesis/stream-reader.ts";
import type { DataSourceRuntime, TaskContext } from "../../../shared/contract/context.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { parseOptions } from "../../../shared/contract/options/parse.ts";
import { withStores } from "../../support/runtime.ts";

type Row = Record<string, unknown>;
export type Middleware = (
  commandName: string,
  next: () => Promise<GetRecordsCommandOutput>,
  input: Record<string, unknown>,
) => Promise<unknown>;

// Over HTTP/2, LocalStack cuts large answers off. This handler uses HTTP/1.1.
export const requestHandler = new NodeHttpHandler();
export const client = new KinesisClient({ requestHandler });
export const runtime = withStores(realRuntime);
const task = { signal: new AbortController().signal } as TaskContext;
export const json = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

export async function newStream(ShardCount = 1): Promise<string> {
  const StreamName = `stream-${randomUUID()}`;
  await client.send(new CreateStreamCommand({ StreamName, ShardCount }));
  await active(StreamName);
  return StreamName;
}

export async function active(StreamName: string): Promise<void> {
  for (;;) {
    const { StreamDescriptionSummary } = await client.send(new DescribeStreamSummaryCommand({ StreamName }));
    if (StreamDescriptionSummary?.StreamStatus === "ACTIVE") return;
    await realRuntime.sleep(20);
  }
}

/**
 * Puts records with the ids `from` to `to`, under 50 keys. Records with the same key are in order.
 */
export async function put(StreamName: string, from: number, to: number): Promise<void> {
  for (let first = from; first < to; first += 500) {
    const ids = Array.from({ length: Math.min(500, to - first) }, (_, i) => first + i);
    const Records = ids.map((id) => ({
      PartitionKey: `key-${id % 50}`,
      Data: Buffer.from(JSON.stringify({ id, key: `key-${id % 50}` })),
    }));
    const { FailedRecordCount } = await client.send(new PutRecordsCommand({ StreamName, Records }));
    expect(FailedRecordCount ?? 0).toBe(0);
  }
}

export async function putData(StreamName: string, ...data: (string | Uint8Array)[]): Promise<void> {
  const Records = data.map((one) => ({ PartitionKey: "key", Data: Buffer.from(one as string) }));
  await client.send(new PutRecordsCommand({ StreamName, Records }));
}

export async function openShards(StreamName: string): Promise<{ id: string; start: bigint; end: bigint }[]> {
  const { Shards = [] } = await client.send(new ListShardsCommand({ StreamName }));
  return Shards.filter((shard) => shard.SequenceNumberRange?.EndingSequenceNumber === undefined).map(
    (shard) => ({
      id: shard.ShardId ?? "",
      start: BigInt(shard.HashKeyRange?.StartingHashKey ?? 0),
      end: BigInt(shard.HashKeyRange?.EndingHashKey ?? 0),
    }),
  );
}

export async function split(StreamName: string): Promise<void> {
  const [shard] = await openShards(StreamName);
  if (shard === undefined) throw new Error("no shard is open");
  const middle = String((shard.start + shard.end) / 2n);
  await client.send(
    new SplitShardCommand({ StreamName, ShardToSplit: shard.id, NewStartingHashKey: middle }),
  );
  await active(StreamName);
}

interface Given extends Partial<KinesisOptions> {
  readonly runtime?: DataSourceRuntime;
  /** A function that is called around each request. */
  readonly middleware?: Middleware;
}

/** Creates a reader as a new process does. */
export async function readerOf(streamName: string, given: Given = {}): Promise<KinesisReader> {
  const { runtime: around = runtime, middleware, ...options } = given;
  const name = options.streamArn === undefined ? { streamName } : {};
  const parsed = await parseOptions(Kinesis, { ...name, ...options });
  const schema = parseDdl(new Kinesis(parsed, around).schema());
  const own = new KinesisClient({ maxAttempts: 10, requestHandler });
  if (middleware !== undefined) {
    own.middlewareStack.add(
      (next, context) => async (args) => {
        const result = await middleware(
          String(context["commandName"]),
          async () => (await next(args)).output as GetRecordsCommandOutput,
          args.input as Record<string, unknown>,
        );
        return { output: result as GetRecordsCommandOutput, response: {} };
      },
      { step: "deserialize", priority: "high", name: "faults" },
    );
  }
  return new KinesisReader(schema, parsed, new Stream(parsed, around, own), around);
}

export async function read(reader: KinesisReader, partition: unknown, ddl: string): Promise<Row[]> {
  const rows = reader.read(json(partition) as never, task);
  const batches = await Array.fromAsync(toRecordBatches(parseDdl(ddl), rows, {}));
  return batches.flatMap((batch) => [...rowsOf(batch)]);
}

export const RAW = new Kinesis({ format: "raw" } as never, runtime).schema();

/**
 * Reads one batch, with a new reader for each partition. Returns the end of the batch, and the rows
 * of each partition.
 */
export async function batch(
  reader: KinesisReader,
  start: StreamOffset,
  streamName: string,
  given: Given = {},
): Promise<{ end: StreamOffset; rows: Row[][] }> {
  const end = json(await reader.latestOffset(start));
  const rows: Row[][] = [];
  for (const partition of await reader.partitions(start, end))
    rows.push(await read(await readerOf(streamName, given), partition, given.schema ?? RAW));
  return { end, rows };
}

/** Returns the rows of all batches until there is no new data. */
export async function drain(
  streamName: string,
  given: Given = {},
  from?: StreamOffset,
): Promise<{ end: StreamOffset; batches: Row[][][] }> {
  const reader = await readerOf(streamName, given);
  let start = from ?? json(reader.initialOffset());
  const batches: Row[][][] = [];
  for (;;) {
    const { end, rows } = await batch(reader, start, streamName, given);
    if (JSON.stringify(end) === JSON.stringify(start)) return { end, batches };
    batches.push(rows);
    start = end;
  }
}

export const idsOf = (rows: readonly Row[]) =>
  rows.map(({ data }) => (JSON.parse(Buffer.from(String(data), "base64").toString()) as { id: number }).id);
export const sorted = (ids: readonly number[]) => [...ids].sort((a, b) => a - b);
export const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

/** Expects the ids of each key in ascending order. The partitions of one batch have no order. */
export function expectOrdered(batches: readonly (readonly Row[][])[]): void {
  const last = new Map<number, number>();
  for (const partitions of batches) {
    const inBatch = new Map<number, number>();
    partitions.forEach((rows, partition) => {
      for (const id of idsOf(rows)) {
        expect(id).toBeGreaterThan(last.get(id % 50) ?? -1);
        last.set(id % 50, id);
        // Two partitions of one batch may run at the same time, so a key must not be in both of
        // them.
        expect(inBatch.get(id % 50) ?? partition).toBe(partition);
        inBatch.set(id % 50, partition);
      }
    });
  }
}
