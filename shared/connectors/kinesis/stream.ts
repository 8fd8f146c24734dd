import type { _Record, KinesisClient } from "@aws-sdk/client-kinesis";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import type { Runtime } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import { optional } from "../../contract/optional.ts";
import { loadOptional } from "../../contract/optional-package.ts";
import type { RetryPolicy } from "../../contract/retry.ts";
import { AwsClient } from "../kit/aws-client.ts";
import type { ParsedOptions } from "./options.ts";
import type * as Sdk from "./sdk.ts";

/** What is listed of a shard. */
export interface Shard {
  readonly shardId: string;
  /** One after a split, two after a merge. */
  readonly parents: readonly string[];
}

/** A record's place in its shard. */
export type Mark = {
  /** Its sequence number. */
  readonly seq: string;
  /** When it came, about: ISO 8601. */
  readonly at: string;
};

/** One record of a shard. */
export interface StreamRecord {
  readonly sequenceNumber: string;
  readonly partitionKey: string;
  /** When it came, about: epoch milliseconds. */
  readonly arrivedAt: number;
  readonly data: Uint8Array;
}

/** Where in a shard reading begins: `since` in epoch milliseconds. */
export type Position =
  | { readonly at: "TRIM_HORIZON" }
  | { readonly since: number }
  | { readonly from: Mark }
  | { readonly after: Mark };

/** What one GetRecords returned. */
export interface Page {
  readonly records: readonly StreamRecord[];
  /** True if nothing follows as yet. */
  readonly isTip: boolean;
  /** True if nothing will ever follow: the shard is closed. */
  readonly isEnd: boolean;
}

/** GetRecords returns no more at once. */
export const PAGE_RECORDS = 10_000;
/** A shard answers 5 GetRecords a second, of all who read it. */
const PACE_MILLISECONDS = 200;
/**
 * A sequence number that has expired can lead to empty pages for ever. No stream keeps records for
 * less than a day: an older one is looked for by its time, and by somewhat less, for times are not
 * quite in order.
 */
const OLD_MILLISECONDS = 12 * 3_600_000;
const TIME_MARGIN_MILLISECONDS = 60_000;
/** Throttling is no error for about a minute: other readers may take their turns. */
const RETRIES: RetryPolicy = { attempts: 10, firstDelay: 500, longestDelay: 20_000 };

/** Error: `DEPENDENCY_MISSING`. */
export function loadSdk(): Promise<typeof Sdk> {
  return loadOptional("@aws-sdk/client-kinesis", () => import("./sdk.ts"));
}

/** The requests to one stream. */
export class Stream {
  readonly #options: ParsedOptions;
  readonly #runtime: Runtime;
  readonly #target: { readonly StreamName: string } | { readonly StreamARN: string };
  readonly #client: AwsClient<KinesisClient, typeof Sdk>;

  /** `client` is made when it is needed first. */
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

  /** For messages. */
  get name(): string {
    return Object.values(this.#target).join();
  }

  /** All shards that hold records, or may come to. */
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

  /** How long records are kept, in milliseconds. */
  async retention(): Promise<number> {
    const { StreamDescriptionSummary } = await this.#client.call(
      "DescribeStreamSummary",
      (client, { DescribeStreamSummaryCommand }) =>
        client.send(new DescribeStreamSummaryCommand(this.#target)),
    );
    return (StreamDescriptionSummary?.RetentionPeriodHours ?? 24) * 3_600_000;
  }

  /**
   * The records from a position on, in pages of at most `limit`, to the end of the shard; of one
   * that is open, for ever.
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
    for (let askedAt = 0; ; ) {
      signal?.throwIfAborted();
      const pause = askedAt + PACE_MILLISECONDS - this.#runtime.now();
      if (pause > 0) await this.#runtime.sleep(pause, signal);
      askedAt = this.#runtime.now();
      const page = await this.#page(shardId, iterator, position, limit, signal);
      const records = page.records.filter(isNotBefore(position));
      yield { ...page, records };
      const last = page.records.at(-1);
      if (last !== undefined && records.length > 0) position = { after: markOf(last) };
      if (page.next === undefined) return;
      iterator = page.next;
    }
  }

  /** The first record from a position on, if there is one. */
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
      // Iterators live for five minutes, and a sink may take longer over a page.
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
   * `undefined` for a time that has not come yet. Error: `KINESIS_DATA_EXPIRED`, if the stream has
   * no such sequence number.
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

/** Whether it is the exception of Kinesis of that name. */
function isNamed(error: unknown, name: string): error is Error {
  return error instanceof Error && error.name === name;
}

function makeClient(sdk: typeof Sdk, { region, streamArn, endpoint }: ParsedOptions): KinesisClient {
  return new sdk.KinesisClient({
    // The SDK would take HTTP/2, which only enhanced fan-out needs, and over which LocalStack
    // breaks off larger answers.
    requestHandler: new NodeHttpHandler(),
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

/** What is gone before it was read. */
export function expired(message: string, cause?: unknown): MillraceError {
  return new MillraceError("KINESIS_DATA_EXPIRED", message, {
    hint: "Lengthen the stream's retention and run more often. To go on with what is left: failOnDataLoss: false. A stream that was made anew needs a pipeline with another name.",
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

/** Leaves out what comes before a position that was looked for by its time. */
function isNotBefore(position: Position): (record: StreamRecord) => boolean {
  if (!("from" in position || "after" in position)) return () => true;
  const mark = "from" in position ? position.from : position.after;
  // Sequence numbers have more digits than a number holds.
  const first = BigInt(mark.seq) + ("from" in position ? 0n : 1n);
  return ({ sequenceNumber }) => BigInt(sequenceNumber) >= first;
}

/** Where a record lies. */
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
