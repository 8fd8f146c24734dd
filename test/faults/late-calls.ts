/** A call whose caller has got an error, and which takes effect later. */
interface LateCall {
  /** Number of calls, of any run, that begin before it takes effect. */
  left: number;
  effect(): Promise<unknown>;
}

/**
 * The calls that have failed for their callers but not for the ledger or the store, like requests
 * that time out at one end only. They take effect while other calls go on, of any run.
 */
export class LateCalls {
  readonly #due: LateCall[] = [];
  #wasUsed = false;

  /** True if any call was late so far. The effects of a run then mix with those of others. */
  get wasUsed(): boolean {
    return this.#wasUsed;
  }

  /** Lets a call take effect before the `after`-th call from now on. */
  defer(after: number, effect: () => Promise<unknown>): void {
    this.#wasUsed = true;
    this.#due.push({ left: after, effect });
  }

  /** Called before each call of any run. */
  async pass(): Promise<void> {
    for (const late of this.#due) late.left--;
    await this.#land(({ left }) => left <= 0);
  }

  /** Lets all calls that are left take effect. */
  async landAll(): Promise<void> {
    await this.#land(() => true);
  }

  async #land(isDue: (late: LateCall) => boolean): Promise<void> {
    for (const late of this.#due.filter(isDue)) {
      const at = this.#due.indexOf(late);
      // Another run may have passed meanwhile.
      if (at < 0) continue;
      this.#due.splice(at, 1);
      // No one is there any more to hear of an error.
      await late.effect().catch(() => undefined);
    }
  }
}
