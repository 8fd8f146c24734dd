import * as z from "zod";
import { optional } from "../../contract/optional.ts";
import { roundDown } from "../../contract/time.ts";
import type { Mark, Shard } from "./stream.ts";

/** The position up to which a shard was read. */
type ShardState = {
  /** The last record that was read; missing if no record was read. */
  readonly last?: Mark;
  /** True if the shard is closed and fully read. */
  readonly ended?: true;
};

/** The offset of the stream: how far each shard was read. */
export type StreamOffset = {
  /** Where reading starts in a shard without a state: `TRIM_HORIZON` or a time. */
  readonly from: string;
  /**
   * Records that arrived before this time were read, or had expired when the pipeline started. ISO
   * 8601.
   */
  readonly readUpTo: string;
  /** When the stream was made, ISO 8601. Offsets of older versions do not have it. */
  readonly created?: string;
  readonly shards: { readonly [shardId: string]: ShardState };
};

const TIME = z.iso.datetime();
const SHARD_STATE = z.strictObject({
  last: z
    .strictObject({ seq: z.string().regex(/^\d+$/, "must be a sequence number"), at: TIME })
    .exactOptional(),
  ended: z.literal(true).exactOptional(),
});
/** The fields of an offset, for those that a person gives. */
export const STREAM_OFFSET: z.ZodType<StreamOffset> = z.strictObject({
  from: z.union([z.literal("TRIM_HORIZON"), TIME]),
  readUpTo: TIME,
  created: TIME.exactOptional(),
  shards: z.record(z.string(), SHARD_STATE),
});

/** The shortest retention period that a stream can have. Milliseconds. */
export const SHORTEST_RETENTION: number = 24 * 3_600_000;

/**
 * Plans the next batch, shard by shard. A shard is read only after earlier batches have finished
 * all of its parents. This keeps the records of a partition key in order across splits and merges.
 */
export class ShardsPlan {
  readonly start: StreamOffset;
  readonly #created: string | undefined;
  readonly #listed: ReadonlyMap<string, Shard>;
  readonly #states = new Map<string, ShardState>();
  /** Shards that earlier batches have read to their end. */
  readonly #over = new Set<string>();
  readonly #looked = new Set<string>();
  #readUpTo = Number.POSITIVE_INFINITY;
  #hasNews = false;

  /** `created` is when the stream was made, if that is known. */
  constructor(start: StreamOffset, listed: readonly Shard[], created?: string) {
    this.start = start;
    this.#created = created;
    this.#listed = new Map(listed.map((shard) => [shard.shardId, shard]));
    for (const [shardId, { last, ended }] of Object.entries(start.shards)) {
      // A shard that is no longer listed has expired, together with all its records, so its state
      // is dropped.
      if (!this.#listed.has(shardId)) continue;
      if (ended) this.#over.add(shardId);
      this.#states.set(shardId, ended ? { ended } : last === undefined ? {} : { last });
    }
  }

  /**
   * Returns the shards that can be looked at now. Each shard is returned once; the result is empty
   * when none are left.
   */
  next(): string[] {
    const ready = [...this.#listed.values()].filter(
      ({ shardId, parents }) =>
        !this.#over.has(shardId) &&
        !this.#looked.has(shardId) &&
        parents.every((parent) => this.#over.has(parent) || !this.#listed.has(parent)),
    );
    const shardIds = ready.map(({ shardId }) => shardId);
    for (const shardId of shardIds) this.#looked.add(shardId);
    return shardIds;
  }

  /**
   * Reports what was found in a shard. `last` is the last record of the batch, `undefined` if there
   * are no new records. `readUpTo` (epoch milliseconds) says that the batch includes everything
   * that arrived before then. It is `undefined` for a closed shard without new records, which does
   * not limit the end of the batch.
   */
  saw(shardId: string, last: Mark | undefined, ended: boolean, readUpTo: number | undefined): void {
    if (readUpTo !== undefined) this.#readUpTo = Math.min(this.#readUpTo, readUpTo);
    if (ended && last === undefined) this.#over.add(shardId);
    if (!ended && last === undefined) return;
    this.#hasNews = true;
    this.#states.set(shardId, { ...(last === undefined ? {} : { last }), ...(ended ? { ended } : {}) });
  }

  /**
   * Returns the end of the batch, or the start itself if there are no new records. If `readUpTo` is
   * half a retention period old, it returns a new end even without records. This confirms that
   * nothing was missed, so records that expire later cannot be mistaken for lost data.
   */
  end(now: number): StreamOffset {
    const readUpTo = wholeMinute(Math.min(this.#readUpTo, now));
    const isConfirmed = Date.parse(readUpTo) - Date.parse(this.start.readUpTo) < SHORTEST_RETENTION / 2;
    if (!this.#hasNews && isConfirmed) return this.start;
    return {
      from: this.start.from,
      readUpTo,
      ...optional("created", this.#created),
      shards: Object.fromEntries(this.#states),
    };
  }
}

/** Rounds down to a minute, so that planning twice at about the same time finds the same offset. */
export function wholeMinute(time: number): string {
  return roundDown(new Date(time), "1 minute");
}
