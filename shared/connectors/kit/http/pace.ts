import type { Runtime } from "../../../contract/context.ts";
import { backOff, type RetryPolicy } from "../../../contract/retry.ts";
import { processMemory } from "../process-memory.ts";
import { sha256 } from "../sha256.ts";

/** Each origin has three words: its hash, the time of the next request, and the end of a pause. */
const WORDS = 3;
const NEXT = 1;
const PAUSED_UNTIL = 2;
/** More origins than these share words, so that each of them is asked less often than it could. */
const ORIGINS = 256;
/** All times are microseconds of the monotonic clock, which all threads of a process share. */
const WORDS_OF_ORIGINS = new BigInt64Array(
  processMemory("millrace.rest-api.pace.1", ORIGINS * WORDS * BigInt64Array.BYTES_PER_ELEMENT),
);

/**
 * The pace of all requests of this process to one origin. Tasks run in threads, so the threads
 * share it.
 */
export class Pace {
  readonly #runtime: Pick<Runtime, "monotonic" | "random" | "sleep">;
  /** The time between two requests. */
  readonly #interval: bigint;
  /** The position of the origin's words. */
  readonly #at: number;
  readonly #jitter: RetryPolicy;

  /** `jitter` spreads the requests that waited for the end of a pause. */
  constructor(
    origin: string,
    requestsPerSecond: number | undefined,
    jitter: RetryPolicy,
    runtime: Pick<Runtime, "monotonic" | "random" | "sleep">,
  ) {
    this.#runtime = runtime;
    this.#interval = requestsPerSecond === undefined ? 0n : BigInt(Math.ceil(1_000_000 / requestsPerSecond));
    this.#at = positionOf(origin);
    this.#jitter = jitter;
  }

  /** Waits until a request may be sent. Rejects with the reason of the signal if it aborts. */
  async turn(signal: AbortSignal | undefined): Promise<void> {
    for (;;) {
      const left = this.#pauseLeft();
      if (left > 0n) {
        const spread = backOff(this.#jitter, 1, () => this.#runtime.random());
        await this.#sleep(left + BigInt(Math.ceil(spread * 1000)), signal);
      }
      await this.#sleep(this.#reserve() - this.#now(), signal);
      // A pause may have begun during the wait.
      if (this.#pauseLeft() <= 0n) return;
    }
  }

  /** Makes all requests of the process to this origin wait. */
  pause(milliseconds: number): void {
    const until = this.#now() + BigInt(Math.ceil(milliseconds * 1000));
    const at = this.#at + PAUSED_UNTIL;
    for (let seen = Atomics.load(WORDS_OF_ORIGINS, at); seen < until; ) {
      const was = Atomics.compareExchange(WORDS_OF_ORIGINS, at, seen, until);
      if (was === seen) return;
      seen = was;
    }
  }

  /** Takes the next free time and returns it. It may be in the past. */
  #reserve(): bigint {
    if (this.#interval === 0n) return 0n;
    const at = this.#at + NEXT;
    for (let seen = Atomics.load(WORDS_OF_ORIGINS, at); ; ) {
      const now = this.#now();
      const time = seen > now ? seen : now;
      const was = Atomics.compareExchange(WORDS_OF_ORIGINS, at, seen, time + this.#interval);
      if (was === seen) return time;
      seen = was;
    }
  }

  #pauseLeft(): bigint {
    return Atomics.load(WORDS_OF_ORIGINS, this.#at + PAUSED_UNTIL) - this.#now();
  }

  #now(): bigint {
    return BigInt(this.#runtime.monotonic()) * 1000n;
  }

  async #sleep(microseconds: bigint, signal: AbortSignal | undefined): Promise<void> {
    if (microseconds > 0n) await this.#runtime.sleep(Math.ceil(Number(microseconds) / 1000), signal);
  }
}

/** Returns the position of an origin's words, which its first request takes. */
function positionOf(origin: string): number {
  const hash = sha256(origin).readBigInt64LE() || 1n;
  const home = Number(BigInt.asUintN(8, hash)) * WORDS;
  for (let i = 0; i < ORIGINS; i++) {
    const at = (home + i * WORDS) % WORDS_OF_ORIGINS.length;
    const was = Atomics.compareExchange(WORDS_OF_ORIGINS, at, 0n, hash);
    if (was === 0n || was === hash) return at;
  }
  return home;
}
