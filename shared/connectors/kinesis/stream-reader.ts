import type { Schema } from "apache-arrow";
import { LeftOutFields } from "../../arrow/left-out.ts";
import type { BadRow } from "../../contract/bad-rows.ts";
import type { Runtime, TaskContext } from "../../contract/context.ts";
import type { Offset } from "../../contract/offset.ts";
import {
  DataSourceStreamReader,
  type Row,
  type SupportsTriggerAvailableNow,
} from "../../contract/stream-reader.ts";
import { atOnce } from "../kit/at-once.ts";
import { badRow } from "../kit/bad-row.ts";
import { offsetOf } from "../kit/offset-fields.ts";
import { lookAhead } from "./look-ahead.ts";
import type { ParsedOptions } from "./options.ts";
import { recordReader } from "./records.ts";
import {
  SHORTEST_RETENTION,
  ShardsPlan,
  STREAM_OFFSET,
  type StreamOffset,
  wholeMinute,
} from "./shards-plan.ts";
import {
  expired,
  type Mark,
  markOf,
  PAGE_RECORDS,
  type Position,
  replaced,
  type Shard,
  type Stream,
  type StreamRecord,
  type StreamSummary,
} from "./stream.ts";

/** The records of a shard from `first` to `last`, both included. */
export type ShardRange = { readonly shardId: string; readonly first: Mark; readonly last: Mark };

/** A record that was no row. */
type KeptRecord = StreamRecord & { readonly shardId: string };

function rowOrBad(toRow: (record: StreamRecord) => Row, record: StreamRecord, shardId: string): Row | BadRow {
  try {
    return toRow(record);
  } catch (error) {
    return badRow(error, { ...record, shardId } satisfies KeptRecord);
  }
}

const SHARDS_AT_ONCE = 16;
/** Arrival times, and the time at which a stream was made, are approximate. Milliseconds. */
const CREATION_MARGIN = 60_000;

/**
 * Reads a stream by sequence numbers. Planning finds the first and last record of each shard for a
 * batch; each task reads one shard.
 */
export class KinesisReader
  extends DataSourceStreamReader<StreamOffset, ShardRange>
  implements SupportsTriggerAvailableNow
{
  readonly #schema: Schema;
  readonly #options: ParsedOptions;
  readonly #stream: Stream;
  readonly #runtime: Runtime;
  /** Records that arrived later are left to another run. Epoch milliseconds. */
  #availableNow: number | undefined;
  /**
   * The first record after a sequence number, by shard, as `latestOffset` found it. `partitions`
   * uses it to avoid a second request.
   */
  readonly #firsts = new Map<string, { readonly after: string | undefined; readonly first: Mark }>();

  constructor(schema: Schema, options: ParsedOptions, stream: Stream, runtime: Runtime) {
    super();
    this.#schema = schema;
    this.#options = options;
    this.#stream = stream;
    this.#runtime = runtime;
  }

  prepareForTriggerAvailableNow(): void {
    this.#availableNow = this.#runtime.now();
  }

  availableNowTarget(): number | undefined {
    return this.#availableNow;
  }

  restoreAvailableNow(target: number): void {
    this.#availableNow = target;
  }

  override initialOffset(): StreamOffset {
    const { startingPosition } = this.#options;
    const now = this.#runtime.now();
    const from =
      startingPosition === "LATEST"
        ? new Date(now).toISOString()
        : startingPosition === "TRIM_HORIZON"
          ? startingPosition
          : new Date(startingPosition.timestamp).toISOString();
    return { from, readUpTo: wholeMinute(now), shards: {} };
  }

  override deserializeOffset(json: Offset): StreamOffset {
    return offsetOf(STREAM_OFFSET, json);
  }

  /**
   * Returns the end of the next batch. Errors: `KINESIS_DATA_EXPIRED`, `KINESIS_STREAM_REPLACED`,
   * `KINESIS_FAILED`.
   */
  override async latestOffset(start: StreamOffset): Promise<StreamOffset> {
    const now = this.#runtime.now();
    const [listed, summary] = await Promise.all([this.#stream.shards(), this.#stream.describe()]);
    this.#refuseReplaced(start, summary);
    this.#refuseVanished(start, listed);
    const plan = new ShardsPlan(start, listed, summary.created);
    const mayHaveExpired = this.#mayHaveExpired(start, now, summary);
    for (let ready = plan.next(); ready.length > 0; ready = plan.next()) {
      await atOnce(SHARDS_AT_ONCE, ready, async (shardId) => {
        if (mayHaveExpired) await this.#refuseExpired(start, shardId);
        await this.#look(plan, shardId, now);
      });
    }
    return plan.end(now);
  }

  async #look(plan: ShardsPlan, shardId: string, now: number): Promise<void> {
    const until = this.#availableNow;
    const { first, last, stop } = await lookAhead(this.#stream, shardId, begin(plan.start, shardId), {
      maxRecords: this.#options.maxRecordsPerShard,
      now,
      until,
    });
    if (first !== undefined)
      this.#firsts.set(shardId, { after: plan.start.shards[shardId]?.last?.seq, first: markOf(first) });
    const readUpTo = stop === "tip" ? now : stop === "until" ? (until ?? now) : last?.arrivedAt;
    plan.saw(shardId, last && markOf(last), stop === "end", readUpTo);
  }

  /**
   * Returns true if records may have expired unread, because the stream was last read longer ago
   * than its retention period.
   */
  #mayHaveExpired({ readUpTo }: StreamOffset, now: number, { retention }: StreamSummary): boolean {
    const age = now - Date.parse(readUpTo);
    return this.#options.failOnDataLoss && age > Math.max(SHORTEST_RETENTION, retention);
  }

  /**
   * Throws `KINESIS_STREAM_REPLACED` if the stream was made after it was read. An offset of an
   * older version does not say when its stream was made, but a record in it cannot be older than
   * that.
   */
  #refuseReplaced({ created, shards }: StreamOffset, summary: StreamSummary): void {
    if (summary.created === undefined) return;
    const newest = Object.values(shards).flatMap(({ last }) => (last === undefined ? [] : [last.at]));
    const older = newest.find((at) => Date.parse(at) < Date.parse(summary.created ?? "") - CREATION_MARGIN);
    const before = created ?? older;
    if (before === undefined || before === summary.created) return;
    throw replaced(this.#stream.name, before, summary.created);
  }

  /**
   * Throws `KINESIS_DATA_EXPIRED` unless the last record that was read still exists. If it does,
   * all records after it exist too.
   */
  async #refuseExpired({ shards, readUpTo }: StreamOffset, shardId: string): Promise<void> {
    const { last } = shards[shardId] ?? {};
    const there = last === undefined ? undefined : await this.#stream.first(shardId, { from: last });
    if (there !== undefined && there.sequenceNumber === last?.seq) return;
    throw expired(
      `stream ${this.#stream.name}: ${shardId} was read up to ${readUpTo}${last === undefined ? "" : `, sequence number ${last.seq}`}, and what came then is no longer kept`,
    );
  }

  #refuseVanished({ shards }: StreamOffset, listed: readonly Shard[]): void {
    if (!this.#options.failOnDataLoss) return;
    const there = new Set(listed.map(({ shardId }) => shardId));
    const gone = Object.entries(shards).find(([shardId, { ended }]) => !ended && !there.has(shardId));
    if (gone === undefined) return;
    const [shardId, { last }] = gone;
    throw expired(
      `stream ${this.#stream.name}: ${shardId} is gone, and was read only up to ${last === undefined ? "its beginning" : `sequence number ${last.seq}`}`,
    );
  }

  /** Returns one range of records per shard. Errors: `KINESIS_DATA_EXPIRED`, `KINESIS_FAILED`. */
  override async partitions(start: StreamOffset, end: StreamOffset): Promise<ShardRange[]> {
    const ranges: ShardRange[] = [];
    await atOnce(SHARDS_AT_ONCE, Object.entries(end.shards), async ([shardId, { last }]) => {
      const after = start.shards[shardId]?.last?.seq;
      if (last === undefined || last.seq === after) return;
      const seen = this.#firsts.get(shardId);
      if (seen !== undefined && seen.after === after) ranges.push({ shardId, first: seen.first, last });
      else ranges.push({ shardId, first: await this.#first(start, shardId, last), last });
    });
    return ranges.sort((a, b) => (a.shardId < b.shardId ? -1 : 1));
  }

  async #first(start: StreamOffset, shardId: string, last: Mark): Promise<Mark> {
    const first = await this.#stream.first(shardId, begin(start, shardId));
    if (first !== undefined && BigInt(first.sequenceNumber) <= BigInt(last.seq)) return markOf(first);
    throw expired(
      `stream ${this.#stream.name}: ${shardId} has nothing left up to sequence number ${last.seq}`,
    );
  }

  /**
   * Yields the rows of a range of records. Errors: `KINESIS_DATA_EXPIRED`, `KINESIS_FAILED`, and
   * those of records that cannot be converted to rows.
   */
  override async *read(range: ShardRange, task: TaskContext): AsyncGenerator<Row | BadRow> {
    const { shardId, first, last } = range;
    const leftOut = new LeftOutFields();
    const toRow = recordReader(this.#schema, this.#options, shardId, leftOut);
    const [begin, end] = [BigInt(first.seq), BigInt(last.seq)];
    let oldest: string | undefined;
    try {
      for await (const page of this.#stream.pages(shardId, { from: first }, PAGE_RECORDS, task.signal)) {
        oldest ??= page.records[0]?.sequenceNumber;
        this.#checkBegin(range, oldest);
        for (const record of page.records) {
          const sequenceNumber = BigInt(record.sequenceNumber);
          if (sequenceNumber >= begin && sequenceNumber <= end) yield rowOrBad(toRow, record, shardId);
          // A sequence number beyond `end` appears only if the whole range has expired.
          if (sequenceNumber >= end) return;
        }
        if (page.isTip || page.isEnd) break;
      }
    } finally {
      const { found } = leftOut;
      if (found !== undefined) task.leftOut?.(found.names, found.rows);
    }
    this.#refuseLoss(range, "has no more records");
  }

  *readBadRows(contents: readonly KeptRecord[]): Generator<Row | BadRow> {
    for (const { shardId, ...record } of contents)
      yield rowOrBad(recordReader(this.#schema, this.#options, shardId), record, shardId);
  }

  #checkBegin(range: ShardRange, oldest: string | undefined): void {
    if (oldest === undefined || oldest === range.first.seq) return;
    this.#refuseLoss(range, `begins at sequence number ${oldest}`);
  }

  #refuseLoss({ shardId, first, last }: ShardRange, problem: string): void {
    if (!this.#options.failOnDataLoss) return;
    throw expired(
      `stream ${this.#stream.name}: ${shardId} ${problem}; the batch has ${first.seq} to ${last.seq}`,
    );
  }

  override stop(): void {
    this.#stream.close();
  }
}

/** Returns the position at which the next batch of a shard starts. */
function begin({ from, shards }: StreamOffset, shardId: string): Position {
  const { last } = shards[shardId] ?? {};
  if (last !== undefined) return { after: last };
  return from === "TRIM_HORIZON" ? { at: from } : { since: Date.parse(from) };
}
