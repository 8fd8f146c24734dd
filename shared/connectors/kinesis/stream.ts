import type { _Record, KinesisClient } from "@aws-sdk/client-kinesis";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { requestLimits } from "../../aws/request-limits.ts";
import type { Runtime } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import { optional } from "../../contract/optional.ts";
import { loadOptional } from "../../contract/optional-package.ts";
import type { RetryPolicy } from "../../contract/retry.ts";
import { AwsClient } from "../kit/aws-client.ts";
import type { ParsedOptions } from "./options.ts";
import type * as Sdk from "./sdk.ts";

/** A shard as `ListShards` returns it. */
export interface Shard {
  readonly shardId: string;
  /** The shards that it was split or merged from: one after a split, two after a merge. */
  readonly parents: readonly string[];
}

/** The position of a record in its shard. */
export type Mark = {
  /** The record's sequence number. */
  readonly seq: string;
  /** Approximate arrival time, ISO 8601. */
  readonly at: string;
};

/** One record of a shard. */
export interface StreamRecord {
  readonly sequenceNumber: string;
  readonly partitionKey: string;
  /** Approximate arrival time, epoch milliseconds. */
  readonly arrivedAt: number;
  readonly data: Uint8Array;
}

/** What a stream is, beside its shards. */
export interface StreamSummary {
  /** The retention period in milliseconds. */
  readonly retention: number;
  /** When the stream was made, ISO 8601. It tells a stream from a later one of the same name. */
  readonly created?: string;
}

/** Where reading starts in a shard. `since` is in epoch milliseconds. */
export type Position =
  | { readonly at: "TRIM_HORIZON" }
  | { readonly since: number }
  | { readonly from: Mark }
  | { readonly after: Mark };

/** The result of one `GetRecords` call. */
export interface Page {
  readonly records: readonly StreamRecord[];
  /** True if there are no newer records yet. */
  readonly isTip: boolean;
  /** True if no more records will follow because the shard is closed. */
  readonly isEnd: boolean;
}

/** Maximum number of records that `GetRecords` returns. */
export const PAGE_RECORDS = 10_000;
/**
 * Minimum time between calls: a shard allows 5 `GetRecords` calls per second, shared by all its
 * readers.
 */
const PACE_MILLISECONDS = 200;
/** Additional time for a page of GetRecords, which has up to 10 MiB. */
const PAGE_MILLISECONDS = 15_000;
/**
 * An iterator for an expired sequence number can return empty pages forever. Every stream keeps
 * records for at least a day, so a position older than half a day is looked up by time instead. The
 * margin is needed because arrival times are not exactly in order.
 */
const OLD_MILLISECONDS = 12 * 3_600_000;
const TIME_MARGIN_MILLISECONDS = 60_000;
/**
 * Throttling becomes an error only after about a minute, because other readers share the shard's
 * limit.
 */
const RETRIES: RetryPolicy = { attempts: 10, firstDelay: 500, longestDelay: 20_000 };

/** Loads the client of Kinesis. Error: `DEPENDENCY_MISSING`. */
export function loadSdk(): Promise<typeof Sdk> {
  return loadOptional("@aws-sdk/client-kinesis", () => import("./sdk.ts"));
}

/** Sends requests to one stream. */
export class Stream {
  readonly #options: ParsedOptions;
  readonly #runtime: Runtime;
  readonly #target: { readonly StreamName: string } | { readonly StreamARN: string };
  readonly #client: AwsClient<KinesisClient, typeof Sdk>;

  /** If `client` is not given, one is created when it is first needed. */
  constructor(options: ParsedOptions, runtime: Runtime, client?: KinesisClient) {
    const { streamName, streamArn = "" } = options;
    this.#options = options;
    this.#runtime = runtime;
    this.#target = streamName === undefined ? { StreamARN: streamArn } : { StreamName: streamName };
    const make = (sdk: typeof Sdk) => makeClient(sdk, options);
    const toError = (call: string, thrown: Error, retryable: boolean) =>
      callFailed(this.name, call, thrown, retryable);
    this.#client = new AwsClient({ runtime, retries: RETRIES, sdk: loadSdk, make, toError }, client);
  }

  /** The stream's name or ARN, for error messages. */
  get name(): string {
    return Object.values(this.#target).join();
  }

  /** Lists all shards: those that still have records and those that can receive new ones. */
  async shards(): Promise<Shard[]> {
    const shards: Shard[] = [];
    let NextToken: string | undefined;
    do {
      const input = NextToken === undefined ? this.#target : { NextToken };
      const answer = await this.#client.call("ListShards", (client, { ListShardsCommand }) =>
        client.send(new ListShardsCommand(input)),
      );
      for (const { ShardId = "", ParentShardId, AdjacentParentShardId } of answer.Shards ?? []) {
        const parents = [ParentShardId, AdjacentParentShardId].filter((id) => id !== undefined);
        shards.push({ shardId: ShardId, parents });
      }
      NextToken = answer.NextToken;
    } while (NextToken !== undefined);
    return shards;
  }

  /** Looks the stream up. */
  async describe(): Promise<StreamSummary> {
    const { StreamDescriptionSummary } = await this.#client.call(
      "DescribeStreamSummary",
      (client, { DescribeStreamSummaryCommand }) =>
        client.send(new DescribeStreamSummaryCommand(this.#target)),
    );
    const { RetentionPeriodHours = 24, StreamCreationTimestamp } = StreamDescriptionSummary ?? {};
    return {
      retention: RetentionPeriodHours * 3_600_000,
      ...optional("created", StreamCreationTimestamp?.toISOString()),
    };
  }

  /**
   * Yields the records from a position on, in pages of at most `limit`. It ends at the end of a
   * closed shard; for an open shard it never ends.
   */
  async *pages(
    shardId: string,
    start: Position,
    limit: number,
    signal?: AbortSignal,
  ): AsyncGenerator<Page, void, undefined> {
    const begun = await this.#begin(shardId, start);
    if (begun === undefined) {
      yield { records: [], isTip: true, isEnd: false };
      return;
    }
    let { iterator, position } = begun;
    for (let askedAt = Number.NEGATIVE_INFINITY; ; ) {
      signal?.throwIfAborted();
      const pause = askedAt + PACE_MILLISECONDS - this.#runtime.monotonic();
      if (pause > 0) await this.#runtime.sleep(pause, signal);
      askedAt = this.#runtime.monotonic();
      const page = await this.#page(shardId, iterator, position, limit, signal);
      const records = page.records.filter(isNotBefore(position));
      yield { ...page, records };
      const last = page.records.at(-1);
      if (last !== undefined && records.length > 0) position = { after: markOf(last) };
      if (page.next === undefined) return;
      iterator = page.next;
    }
  }

  /** Returns the first record from a position on, or `undefined` if there is none. */
  async first(shardId: string, position: Position): Promise<StreamRecord | undefined> {
    const limit = "since" in position ? 1 : PAGE_RECORDS;
    for await (const { records, isTip } of this.pages(shardId, position, limit))
      if (records.length > 0 || isTip) return records[0];
    return undefined;
  }

  close(): void {
    this.#client.close();
  }

  async #page(
    shardId: string,
    iterator: string,
    position: Position,
    limit: number,
    signal: AbortSignal | undefined,
  ): Promise<Page & { readonly next: string | undefined }> {
    const arn = "StreamARN" in this.#target ? this.#target : {};
    const ask = (ShardIterator: string) => {
      const input = { ShardIterator, Limit: limit, ...arn };
      const send = (client: KinesisClient, { GetRecordsCommand }: typeof Sdk) =>
        client.send(new GetRecordsCommand(input), optional("abortSignal", signal));
      return this.#client.call(`GetRecords of ${shardId}`, send, signal);
    };
    const answer = await ask(iterator).catch(async (error: unknown) => {
      // An iterator expires after five minutes, and a sink may take longer to write a page.
      const isExpired = MillraceError.is(error) && isNamed(error.cause, "ExpiredIteratorException");
      const fresh = isExpired ? await this.#begin(shardId, position) : undefined;
      if (fresh === undefined) throw error;
      return await ask(fresh.iterator);
    });
    const next = answer.NextShardIterator ?? undefined;
    return {
      records: (answer.Records ?? []).map(toRecord),
      isTip: answer.MillisBehindLatest === 0,
      isEnd: next === undefined,
      next,
    };
  }

  /**
   * Gets an iterator for a position. Returns `undefined` if the position is a time in the future.
   * Error: `KINESIS_DATA_EXPIRED` if the stream does not have the sequence number.
   */
  async #begin(
    shardId: string,
    position: Position,
  ): Promise<{ readonly iterator: string; readonly position: Position } | undefined> {
    const type = iteratorType(position, this.#runtime.now());
    try {
      const { ShardIterator = "" } = await this.#client.call(
        `GetShardIterator of ${shardId}`,
        (client, { GetShardIteratorCommand }) =>
          client.send(new GetShardIteratorCommand({ ...this.#target, ShardId: shardId, ...type })),
      );
      return { iterator: ShardIterator, position };
    } catch (error) {
      const { cause } = error as MillraceError;
      const isInvalid = isNamed(cause, "InvalidArgumentException");
      if (type.Timestamp !== undefined && isInvalid && /timestamp/i.test(cause.message)) return undefined;
      const isUnknown = isInvalid || isNamed(cause, "ResourceNotFoundException");
      if (type.StartingSequenceNumber === undefined || !isUnknown) throw error;
      if (!this.#options.failOnDataLoss) return await this.#begin(shardId, { at: "TRIM_HORIZON" });
      throw expired(
        `stream ${this.name}, ${shardId}: there is no record ${type.StartingSequenceNumber} (${cause.name}: ${cause.message})`,
        cause,
      );
    }
  }
}

/** Returns whether `error` is the Kinesis exception of this name. */
function isNamed(error: unknown, name: string): error is Error {
  return error instanceof Error && error.name === name;
}

function makeClient(sdk: typeof Sdk, { region, streamArn, endpoint }: ParsedOptions): KinesisClient {
  return new sdk.KinesisClient({
    // Uses HTTP/1. The SDK's default for Kinesis is HTTP/2, but only enhanced fan-out needs it, and
    // LocalStack cuts off large responses over HTTP/2.
    requestHandler: new NodeHttpHandler(requestLimits(PAGE_MILLISECONDS)),
    ...optional("region", region ?? streamArn?.split(":")[3]),
    ...optional("endpoint", endpoint),
  });
}

function callFailed(stream: string, call: string, thrown: Error, retryable: boolean): MillraceError {
  const { name, message } = thrown;
  return new MillraceError("KINESIS_FAILED", `stream ${stream}: ${call} failed: ${name}: ${message}`, {
    retryable,
    hint: "Check the stream's name, region and credentials, and what they may do: docs/kinesis.md has the rights.",
    cause: thrown,
  });
}

/** Creates the error for records that expired before they were read. */
export function expired(message: string, cause?: unknown): MillraceError {
  return new MillraceError("KINESIS_DATA_EXPIRED", message, {
    hint: "Lengthen the stream's retention and run more often. To go on with what is left: `failOnDataLoss: false`. If the stream was made anew, read it from its beginning: `millrace rewind PIPELINE --to-start`.",
    ...(cause === undefined ? {} : { cause }),
  });
}

interface IteratorType {
  readonly ShardIteratorType:
    | "TRIM_HORIZON"
    | "AT_TIMESTAMP"
    | "AT_SEQUENCE_NUMBER"
    | "AFTER_SEQUENCE_NUMBER";
  readonly Timestamp?: Date;
  readonly StartingSequenceNumber?: string;
}

function iteratorType(position: Position, now: number): IteratorType {
  if ("at" in position) return { ShardIteratorType: position.at };
  if ("since" in position) return { ShardIteratorType: "AT_TIMESTAMP", Timestamp: new Date(position.since) };
  const { seq, at } = "from" in position ? position.from : position.after;
  const arrivedAt = Date.parse(at);
  if (now - arrivedAt > OLD_MILLISECONDS)
    return { ShardIteratorType: "AT_TIMESTAMP", Timestamp: new Date(arrivedAt - TIME_MARGIN_MILLISECONDS) };
  const ShardIteratorType = "from" in position ? "AT_SEQUENCE_NUMBER" : "AFTER_SEQUENCE_NUMBER";
  return { ShardIteratorType, StartingSequenceNumber: seq };
}

/**
 * Returns a filter that drops records before the position. They appear when the position was looked
 * up by time.
 */
function isNotBefore(position: Position): (record: StreamRecord) => boolean {
  if (!("from" in position || "after" in position)) return () => true;
  const mark = "from" in position ? position.from : position.after;
  // BigInt, because sequence numbers are larger than a number can hold exactly.
  const first = BigInt(mark.seq) + ("from" in position ? 0n : 1n);
  return ({ sequenceNumber }) => BigInt(sequenceNumber) >= first;
}

/** Returns the position of a record. */
export function markOf({ sequenceNumber, arrivedAt }: StreamRecord): Mark {
  return { seq: sequenceNumber, at: new Date(arrivedAt).toISOString() };
}

function toRecord({
  SequenceNumber = "",
  PartitionKey = "",
  ApproximateArrivalTimestamp,
  Data = new Uint8Array(),
}: _Record): StreamRecord {
  return {
    sequenceNumber: SequenceNumber,
    partitionKey: PartitionKey,
    arrivedAt: ApproximateArrivalTimestamp?.getTime() ?? 0,
    data: Data,
  };
}

/** Creates the error for a stream that is another one than that which was read. */
export function replaced(stream: string, before: string, now: string): MillraceError {
  return new MillraceError(
    "KINESIS_STREAM_REPLACED",
    `stream ${stream} was made at ${now}, and is not the one that was read, of ${before}: records that the old one had may be lost`,
    {
      hint: "To read the new stream, from the position that startingPosition says: `millrace rewind PIPELINE --to-start`.",
    },
  );
}
