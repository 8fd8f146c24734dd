import { setImmediate } from "node:timers/promises";
import type { Runtime } from "../../shared/contract/context.ts";

interface Sleeper {
  readonly until: number;
  wake(): void;
}

/**
 * A clock that a test moves. It wakes sleepers in the order of their times. Each sleeper then runs
 * up to its next wait.
 */
export class Clock {
  now = Date.UTC(2026, 10, 21);
  readonly #sleepers = new Set<Sleeper>();
  #ids = 0;

  readonly runtime: Runtime = {
    now: () => this.now,
    random: () => 0.5,
    newId: () => `00000000-0000-4000-8000-${String(++this.#ids).padStart(12, "0")}`,
    env: {},
    sleep: (milliseconds, signal) =>
      new Promise((resolve, reject) => {
        const sleeper: Sleeper = { until: this.now + milliseconds, wake: resolve };
        this.#sleepers.add(sleeper);
        signal?.addEventListener("abort", () => {
          this.#sleepers.delete(sleeper);
          reject(signal.reason as Error);
        });
      }),
  };

  /** Moves the clock forward and wakes the sleepers whose time comes. */
  async pass(milliseconds: number): Promise<void> {
    const end = this.now + milliseconds;
    for (;;) {
      await settled();
      const [next] = [...this.#sleepers].sort((a, b) => a.until - b.until);
      if (next === undefined || next.until > end) break;
      this.now = Math.max(this.now, next.until);
      this.#sleepers.delete(next);
      next.wake();
    }
    this.now = end;
    await settled();
  }
}

/** Lets all code run that waits only for the event loop. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await setImmediate();
}
