import type { PartName } from "./calls.ts";
import { endProblem, worldProblem } from "./judge.ts";
import { RunStates } from "./runs.ts";
import { callOf, type State, type System } from "./system.ts";

/** More rounds than any recovery needs: an attempt that is aborted, the batches, an idle plan. */
const ROUNDS = 9;

/**
 * Ends what a crash of all processes left: runs without faults until there is nothing to do, then a
 * vacuum.
 */
export class Recovery {
  readonly #system: System;
  readonly #run: RunStates;
  readonly #vacuum: RunStates;

  constructor(system: System) {
    this.#system = system;
    const plan = { name: "recovery", tries: 1 };
    this.#run = new RunStates({ ...plan, digit: "d", rounds: ROUNDS }, system.locals);
    this.#vacuum = new RunStates({ ...plan, digit: "e", rounds: 1, vacuum: "all" }, system.locals);
  }

  /** Returns the rule that is broken when everything stops in this state and is then run again. */
  async problem(stopped: State): Promise<string | undefined> {
    const world = { ledger: stopped[0] ?? 0, store: stopped[1] ?? 0, source: stopped[2] ?? 0 };
    for (const actor of [this.#run, this.#vacuum]) {
      const problem = await this.#complete(actor, world);
      if (problem !== undefined) return `after a recovery: ${problem}`;
    }
    const end = Int32Array.of(world.ledger, world.store, world.source);
    const snapshot = this.#system.snapshot(end);
    const problem = worldProblem(snapshot) ?? endProblem(snapshot, this.#system.scenario.shape);
    return problem === undefined ? undefined : `after a recovery: ${problem}`;
  }

  /** Makes all calls of a run, one after the other. Changes `world`. */
  async #complete(actor: RunStates, world: Record<PartName, number>): Promise<string | undefined> {
    for (let run = await actor.start(); run.processes.length > 0; ) {
      const call = callOf(run, 0);
      const { after, answer, problem } = await this.#system.world.effect(call, world[call.part]);
      world[call.part] = after;
      run = await actor.after(run, 0, answer);
      if (problem !== undefined || run.problem !== undefined) return problem ?? run.problem;
    }
    return undefined;
  }
}
