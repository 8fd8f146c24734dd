import type { Runtime } from "../../../contract/context.ts";
import { processMemory } from "../process-memory.ts";

/** An access token. */
export interface Token {
  readonly value: string;
  /**
   * When another token should be fetched, in milliseconds of the monotonic clock. `undefined` if
   * the token is used until the API refuses it.
   */
  readonly refreshAt: number | undefined;
}

const SEQUENCE = 0;
const LOCKED_UNTIL = 1;
const REFRESH_AT = 2;
const LENGTH = 3;
const WORDS = 4;
const TEXT_BYTES = 16 * 1024;
const HEADER_BYTES = WORDS * BigInt64Array.BYTES_PER_ELEMENT;
const NEVER = -1n;
const POLL_MILLISECONDS = 25;
/** A thread that was ended in the middle of a write leaves the sequence odd. */
const MOST_TRIES = 10_000;

const MEMORIES = new Map<string, TokenMemory>();

/** Returns the memory of the token with this key, which all threads of the process share. */
export function tokenMemory(key: string): TokenMemory {
  const known = MEMORIES.get(key);
  if (known !== undefined) return known;
  const memory = new TokenMemory(
    processMemory(`millrace.rest-api.token.1.${key}`, HEADER_BYTES + TEXT_BYTES),
  );
  MEMORIES.set(key, memory);
  return memory;
}

/**
 * A token in memory that threads share. The sequence number is odd during a write, so that a reader
 * notices that it has read a half of two tokens.
 */
export class TokenMemory {
  readonly #words: BigInt64Array;
  readonly #text: Uint8Array;
  /** A token that is too long for the memory. Only this thread has it. */
  #long: Token | undefined;

  constructor(memory: SharedArrayBuffer) {
    this.#words = new BigInt64Array(memory, 0, WORDS);
    this.#text = new Uint8Array(memory, HEADER_BYTES);
  }

  /** Returns the token, or `undefined` if there is none. */
  read(): Token | undefined {
    if (this.#long !== undefined) return this.#long;
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const sequence = Atomics.load(this.#words, SEQUENCE);
      const refreshAt = Atomics.load(this.#words, REFRESH_AT);
      const length = Number(Atomics.load(this.#words, LENGTH));
      const value = Buffer.from(this.#text.slice(0, length)).toString();
      if (sequence % 2n !== 0n || Atomics.load(this.#words, SEQUENCE) !== sequence) continue;
      if (length === 0) return undefined;
      return { value, refreshAt: refreshAt === NEVER ? undefined : Number(refreshAt) };
    }
    return undefined;
  }

  /** Replaces the token. The caller must hold the lock. */
  write(token: Token): void {
    const bytes = Buffer.from(token.value);
    const fits = bytes.length <= TEXT_BYTES;
    this.#long = fits ? undefined : token;
    this.#change(() => {
      if (fits) this.#text.set(bytes);
      Atomics.store(this.#words, LENGTH, BigInt(fits ? bytes.length : 0));
      const { refreshAt } = token;
      Atomics.store(this.#words, REFRESH_AT, refreshAt === undefined ? NEVER : BigInt(Math.floor(refreshAt)));
    });
  }

  /** Removes a token, unless there is another one by now. */
  remove(value: string): void {
    if (this.read()?.value !== value) return;
    this.#long = undefined;
    this.#change(() => Atomics.store(this.#words, LENGTH, 0n));
  }

  #change(change: () => void): void {
    // A write that was never finished has left an odd number, which stays odd for this write.
    const before = Atomics.load(this.#words, SEQUENCE);
    const writing = before % 2n === 0n ? before + 1n : before + 2n;
    Atomics.store(this.#words, SEQUENCE, writing);
    change();
    Atomics.store(this.#words, SEQUENCE, writing + 1n);
  }

  /**
   * Runs `body` while no other thread runs it. `lease` is the time in milliseconds after which the
   * lock of a thread that was ended is taken over; `body` can begin it anew.
   */
  async locked<T>(
    runtime: Pick<Runtime, "monotonic" | "sleep">,
    lease: number,
    body: (renew: () => void) => Promise<T>,
  ): Promise<T> {
    let mine = await this.#lock(runtime, lease);
    try {
      return await body(() => {
        const next = BigInt(runtime.monotonic() + lease);
        if (Atomics.compareExchange(this.#words, LOCKED_UNTIL, mine, next) === mine) mine = next;
      });
    } finally {
      Atomics.compareExchange(this.#words, LOCKED_UNTIL, mine, 0n);
    }
  }

  async #lock(runtime: Pick<Runtime, "monotonic" | "sleep">, lease: number): Promise<bigint> {
    for (;;) {
      const seen = Atomics.load(this.#words, LOCKED_UNTIL);
      const now = runtime.monotonic();
      const until = BigInt(now + lease);
      const isFree = seen === 0n || seen < BigInt(now);
      if (isFree && Atomics.compareExchange(this.#words, LOCKED_UNTIL, seen, until) === seen) return until;
      await runtime.sleep(POLL_MILLISECONDS);
    }
  }
}
