import { roundDown } from "../../contract/time.ts";
import type { Mark, Shard } from "./stream.ts";

/** How far a shard was read. */
type ShardState = {
  /** The last record that was read; none if there was none. */
  readonly last?: Mark;
  /** True if the shard is closed, and all of it was read. */
  readonly ended?: true;
};

/** How far the stream was read. */
export type StreamOffset = {
  /** Where a shard begins that has no state: `TRIM_HORIZON`, or a time. */
  readonly from: string;
  /** What came before was read, or had expired when the pipeline began. ISO 8601. */
  readonly readUpTo: string;
  readonly shards: { readonly [shardId: string]: ShardState };
};

/** No stream keeps records for less. Milliseconds. */
export const SHORTEST_RETENTION: number = 24 * 3_600_000;

/**
 * The next batch, shard by shard. Records of one key stay in order across splits and merges: a
 * shard is read once all of its parents were, in batches before.
 */
export class ShardsPlan {
  readonly start: StreamOffset;
  readonly #listed: ReadonlyMap<string, Shard>;
  readonly #states = new Map<string, ShardState>();
  /** Shards whose last record is in a batch before. */
  readonly #over = new Set<string>();
  readonly #looked = new Set<string>();
  #readUpTo = Number.POSITIVE_INFINITY;
  #hasNews = false;

  constructor(start: StreamOffset, listed: readonly Shard[]) {
    this.start = start;
    this.#listed = new Map(listed.map((shard) => [shard.shardId, shard]));
    for (const [shardId, { last, ended }] of Object.entries(start.shards)) {
      // One that is no longer listed has expired, and with it what could be told of its children.
      if (!this.#listed.has(shardId)) continue;
      if (ended) this.#over.add(shardId);
      this.#states.set(shardId, ended ? { ended } : last === undefined ? {} : { last });
    }
  }

  /** The shards to look at next, each returned once; none at last. */
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
   * What there is of a shard: the last record of the batch, none if nothing is new. `readUpTo`:
   * what came to it before is then read, epoch milliseconds; a shard that holds nothing more has no
   * say.
   */
  saw(shardId: string, last: Mark | undefined, ended: boolean, readUpTo: number | undefined): void {
    if (readUpTo !== undefined) this.#readUpTo = Math.min(this.#readUpTo, readUpTo);
    if (ended && last === undefined) this.#over.add(shardId);
    if (!ended && last === undefined) return;
    this.#hasNews = true;
    this.#states.set(shardId, { ...(last === undefined ? {} : { last }), ...(ended ? { ended } : {}) });
  }

  /**
   * The end of the batch; the start itself if nothing is new. Now and then an end without new
   * records confirms that there were none: what expires later is then known to be nothing that was
   * missed.
   */
  end(now: number): StreamOffset {
    const readUpTo = wholeMinute(Math.min(this.#readUpTo, now));
    const isConfirmed = Date.parse(readUpTo) - Date.parse(this.start.readUpTo) < SHORTEST_RETENTION / 2;
    if (!this.#hasNews && isConfirmed) return this.start;
    return {
      from: this.start.from,
      readUpTo,
      shards: Object.fromEntries(this.#states),
    };
  }
}

/** So that two looks at one moment find one offset. */
export function wholeMinute(time: number): string {
  return roundDown(new Date(time), "1 minute");
}
