/** Runs a limited number of calls in parallel, for a writer that is given one change at a time. */
export class InFlight {
  readonly #limit: number;
  readonly #running = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Starts a call, when there are fewer than `limit`. Throws the error of an earlier call. */
  async add(body: () => Promise<void>): Promise<void> {
    while (this.#running.size >= this.#limit) await Promise.race(this.#running);
    if (this.#failure !== undefined) throw this.#failure.error;
    const call = body()
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#running.delete(call));
    this.#running.add(call);
  }

  /** Waits for all calls. Throws the first error. */
  async done(): Promise<void> {
    await this.settled();
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Waits for all calls, whatever comes of them, so that none goes on in the background. */
  async settled(): Promise<void> {
    await Promise.all(this.#running);
  }
}
