import { floorTo } from "../../contract/time.ts";
import type { TimeRange } from "../../contract/time-range.ts";

export const SCHEMA =
  "id bigint NOT NULL, time timestamp NOT NULL, kind string NOT NULL, user_id int NOT NULL, amount decimal(10,2)";

/** An event with the fields of `SCHEMA`. */
export type Event = {
  /** Id of the event. A later event has a greater id. */
  readonly id: bigint;
  /** Time of the event, in microseconds since 1970-01-01T00:00:00Z. */
  readonly time: bigint;
  readonly kind: "view" | "cart" | "purchase";
  readonly user_id: number;
  /** The price of a purchase; null for other kinds. */
  readonly amount: string | null;
};

const USERS = 1000;

/**
 * An infinite series of events. Each event is computed from its number and the seed alone, so the
 * same range always yields the same events. Time is divided into equal intervals from the epoch on,
 * and each interval has one event at a random time within it.
 */
export class EventSeries {
  readonly #interval: bigint;
  readonly #seed: number;

  constructor(eventsPerSecond: number, seed: number) {
    this.#interval = BigInt(Math.round(1_000_000 / eventsPerSecond));
    this.#seed = seed;
  }

  /** Yields the events of a range, ordered by time. */
  *within(range: TimeRange): Generator<Event> {
    const interval = this.#interval;
    for (let id = floorTo(range.from, interval) / interval; id * interval < range.to; id++) {
      const event = this.#at(id);
      if (range.contains(event.time)) yield event;
    }
  }

  #at(id: bigint): Event {
    const random = randomNumbers(this.#seed, id);
    const time = id * this.#interval + BigInt(Math.floor(random() * Number(this.#interval)));
    const dice = random();
    const kind = dice < 0.7 ? "view" : dice < 0.9 ? "cart" : "purchase";
    const user_id = 1 + Math.floor(random() * USERS);
    const amount = kind === "purchase" ? (1 + Math.floor(random() * 19_999) / 100).toFixed(2) : null;
    return { id, time, kind, user_id, amount };
  }
}

/** Returns a generator of numbers in [0, 1) that is determined by seed and id (Mulberry32). */
function randomNumbers(seed: number, id: bigint): () => number {
  const [low, high] = [id, id >> 32n].map((part) => Number(BigInt.asUintN(32, part)));
  let state = mix(seed ^ mix((low ?? 0) ^ mix(high ?? 0)));
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    return (mix(state) >>> 0) / 2 ** 32;
  };
}

/** Mixes 32 bits so that each input bit affects all output bits (the finalizer of MurmurHash3). */
function mix(bits: number): number {
  let mixed = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
