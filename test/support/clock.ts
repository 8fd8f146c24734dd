import { setImmediate } from "node:timers/promises";
import type { Runtime } from "../../shared/contract/context.ts";

interface Sleeper {
  readonly until: number;
  wake(): void;
}

/**
 * A clock that a test moves. `now` is the wall clock: set it to step the wall clock alone. `pass`
 * lets time pass. It wakes sleepers in the order of their times. Each sleeper then runs
 * up to its next wait.
 */
export class Clock {
  now = Date.UTC(2026, 10, 21);
  /** Milliseconds that passed. */
  #passed = 0;
  readonly #sleepers = new Set<Sleeper>();
  #ids = 0;

  readonly runtime: Runtime = {
    now: () => this.now,
    monotonic: () => this.#passed,
    random: () => 0.5,
    newId: () => `00000000-0000-4000-8000-${String(++this.#ids).padStart(12, "0")}`,
    env: {},
    sleep: (milliseconds, signal) =>
      new Promise((resolve, reject) => {
        const sleeper: Sleeper = { until: this.#passed + milliseconds, wake: resolve };
        this.#sleepers.add(sleeper);
        signal?.addEventListener("abort", () => {
          this.#sleepers.delete(sleeper);
          reject(signal.reason as Error);
        });
      }),
  };

  /** Moves the clock forward and wakes the sleepers whose time comes. */
  async pass(milliseconds: number): Promise<void> {
    const end = this.#passed + milliseconds;
    for (;;) {
      await settled();
      const [next] = [...this.#sleepers].sort((a, b) => a.until - b.until);
      if (next === undefined || next.until > end) break;
      this.#moveTo(Math.max(this.#passed, next.until));
      this.#sleepers.delete(next);
      next.wake();
    }
    this.#moveTo(end);
    await settled();
  }

  #moveTo(passed: number): void {
    this.now += passed - this.#passed;
    this.#passed = passed;
  }
}

/** Lets all code run that waits only for the event loop. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await setImmediate();
}
