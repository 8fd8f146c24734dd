/** The commits of sinks that are under way, each with the run that waits for it. */
export class Commits {
  readonly #runs: (object | undefined)[] = [];

  get areUnderWay(): boolean {
    return this.#runs.length > 0;
  }

  /** Makes the call of a commit for a run. */
  async during<T>(run: object, call: () => Promise<T>): Promise<T> {
    this.#runs.push(run);
    try {
      return await call();
    } finally {
      this.#remove(run);
    }
  }

  /**
   * Returns a call of this run that takes effect later. If it is a part of a commit, the commit is
   * under way until then, although the run does not wait for it.
   */
  late<T>(run: object, effect: () => Promise<T>): () => Promise<T> {
    if (!this.#runs.includes(run)) return effect;
    this.#runs.push(undefined);
    return () => effect().finally(() => this.#remove(undefined));
  }

  /** Called when a run is killed: its commits do not go on. */
  endOf(run: object): void {
    while (this.#runs.includes(run)) this.#remove(run);
  }

  #remove(run: object | undefined): void {
    const at = this.#runs.indexOf(run);
    if (at >= 0) this.#runs.splice(at, 1);
  }
}
