/** An attempt of a task that commits. */
interface Committing {
  readonly task: string;
  /** Epoch of its run. Attempts of different runs may commit at once. */
  readonly epoch: number | undefined;
  /** When its right to commit ends, in the time of the world. */
  readonly deadline: number;
  /** True if the attempt makes no further call. */
  readonly isOver: () => boolean;
}

/** The attempts that commit their tasks, each under the step that makes its calls. */
export class TaskCommits {
  readonly #committing = new Map<object, Committing>();

  /**
   * Notes that an attempt begins to commit. Returns true if another attempt of the task in the same
   * run commits at this time, whose right has not ended.
   */
  begin(step: object, committing: Committing, now: number): boolean {
    const { task, epoch, deadline } = committing;
    const others = [...this.#committing].filter(([other]) => other !== step).map(([, each]) => each);
    this.#committing.set(step, committing);
    const isBeside = (other: Committing) =>
      other.task === task && other.epoch === epoch && other.deadline > now && !other.isOver();
    return deadline > now && others.some(isBeside);
  }

  end(step: object): void {
    this.#committing.delete(step);
  }
}
