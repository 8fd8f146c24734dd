/** The places for task attempts that run at once. A run has the same ones for all its batches. */
export class TaskSlots {
  #free: number;
  readonly #waiting: (() => void)[] = [];
  readonly #left = new Set<Promise<void>>();

  constructor(count: number) {
    this.#free = count;
  }

  /** True if an attempt could start at once. */
  get isFree(): boolean {
    return this.#free > 0;
  }

  /** Runs `attempt` in a slot. Waits for one, first come, first served. */
  async use<T>(attempt: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await attempt();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }

  /** Remembers an attempt for which its batch does not wait, because another one has succeeded. */
  leave(attempt: Promise<void>): void {
    this.#left.add(attempt);
    void attempt.finally(() => this.#left.delete(attempt));
  }

  /** Waits for the attempts that were left. They were told to stop. */
  async untilLeftEnd(): Promise<void> {
    await Promise.all(this.#left);
  }
}
