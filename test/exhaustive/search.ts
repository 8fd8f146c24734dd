import { worldProblem } from "./judge.ts";
import { Recovery } from "./recovery.ts";
import { StateTable } from "./state-table.ts";
import { type Action, isSameWorld, KINDS, type Scenario, type State, System, worldOf } from "./system.ts";

/** What a search found. */
export interface Result {
  readonly states: number;
  readonly transitions: number;
  /** Number of steps to the state that is farthest from the start. */
  readonly depth: number;
  /** States of ledger, store and source together. A crash of everything is judged in each. */
  readonly worlds: number;
  /** States of processes. The engine's code ran once for each. */
  readonly locals: number;
  readonly violation?: Violation;
}

export interface Violation {
  readonly problem: string;
  /** The shortest way to it, among those with the fewest faults. */
  readonly actions: readonly Action[];
}

/** Looks at every state that a scenario can reach, those with the fewest faults and steps first. */
export class Search {
  readonly #system: System;
  readonly #table: StateTable;
  readonly #recovery: Recovery;
  /** Indexes of the states that were not left yet, by faults and by steps. */
  readonly #queues: number[][][] = [];
  readonly #worlds = new Set<number>();
  #transitions = 0;
  #depth = 0;

  constructor(scenario: Scenario) {
    this.#system = new System(scenario);
    this.#table = new StateTable(this.#system.width);
    this.#recovery = new Recovery(this.#system);
  }

  async run(): Promise<Result> {
    const { faults: limit } = this.#system.scenario;
    const state = await this.#system.start();
    this.#add(state, { parent: -1, action: -1, faults: 0, depth: 0 });
    for (let faults = 0; faults <= limit; faults++) {
      const queues = this.#queues[faults] ?? [];
      for (let depth = 0; depth < queues.length; depth++) {
        for (const index of queues[depth] ?? []) {
          this.#table.read(index, state);
          const violation = await this.#leave(state, { index, faults, depth });
          if (violation !== undefined) return { ...this.#counts, violation };
        }
        queues[depth] = [];
      }
    }
    return this.#counts;
  }

  get #counts(): Omit<Result, "violation"> {
    return {
      states: this.#table.count,
      transitions: this.#transitions,
      depth: this.#depth,
      worlds: this.#worlds.size,
      locals: this.#system.locals.count,
    };
  }

  /** Makes every step that is possible in a state. */
  async #leave(
    state: State,
    { index, faults, depth }: { readonly index: number; readonly faults: number; readonly depth: number },
  ): Promise<Violation | undefined> {
    const next = new Int32Array(state.length);
    const mayFail = faults < this.#system.scenario.faults;
    for (const action of this.#system.actions(state, mayFail)) {
      next.set(state);
      const made = this.#system.make(action, next);
      let problem = made instanceof Promise ? await made : made;
      this.#transitions++;
      if (problem === undefined && !isSameWorld(state, next)) {
        const world = worldOf(next);
        if (!this.#worlds.has(world)) {
          this.#worlds.add(world);
          problem = worldProblem(this.#system.snapshot(next)) ?? (await this.#recovery.problem(next));
        }
      }
      if (problem !== undefined) return { problem, actions: [...this.#wayTo(index), action] };
      const isFault = action.kind !== "answer" && action.kind !== "land";
      const [after, code] = [faults + (isFault ? 1 : 0), codeOf(action)];
      this.#add(next, { parent: index, action: code, faults: after, depth: depth + 1 });
    }
    return undefined;
  }

  #add(
    state: State,
    way: {
      readonly parent: number;
      readonly action: number;
      readonly faults: number;
      readonly depth: number;
    },
  ): void {
    const index = this.#table.add(state, way.parent, way.action);
    if (index < 0) return;
    this.#depth = Math.max(this.#depth, way.depth);
    this.#queues[way.faults] ??= [];
    const queues = this.#queues[way.faults] as number[][];
    while (queues.length <= way.depth) queues.push([]);
    (queues[way.depth] as number[]).push(index);
  }

  #wayTo(index: number): Action[] {
    const way: Action[] = [];
    for (let at = this.#table.wayTo(index); at.before >= 0; at = this.#table.wayTo(at.before))
      way.unshift(actionOf(at.step));
    return way;
  }
}

const MAX = 64;

function codeOf({ kind, run, process }: Action): number {
  return (run * MAX + process) * MAX + KINDS.indexOf(kind);
}

function actionOf(code: number): Action {
  const kind = KINDS[code % MAX] ?? "answer";
  return { kind, run: Math.floor(code / MAX / MAX), process: Math.floor(code / MAX) % MAX };
}
