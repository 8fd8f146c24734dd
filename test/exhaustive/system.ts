import { MillraceError } from "../../shared/contract/errors.ts";
import { type Answer, type Call, type Effect, PARTS, type PartName } from "./calls.ts";
import type { Snapshot } from "./judge.ts";
import { LocalStates } from "./local-states.ts";
import type { Shape } from "./process.ts";
import { type RunPlan, type RunProcess, type RunState, RunStates } from "./runs.ts";
import { Numbered, World } from "./world.ts";

/** The runs that are searched, and how much may go wrong. */
export interface Scenario {
  readonly name: string;
  readonly shape: Shape;
  readonly runs: readonly RunPlan[];
  /** How many faults there are at most in one history. */
  readonly faults: number;
}

/** The kinds of steps. All but `answer` and `land` are faults. */
export const KINDS = ["answer", "error", "error for good", "retry", "fail", "land"] as const;
export type Kind = (typeof KINDS)[number];

/** One step: what happens to which process of which run, or to which call on its way. */
export interface Action {
  readonly kind: Kind;
  /** Index of the run. 0 for `land`. */
  readonly run: number;
  /** Index of the process in its run. For `land`, of the call among those on their way. */
  readonly process: number;
}

/**
 * A state of everything as numbers: the state of each part, the set of the calls on their way, and
 * the state of each run.
 */
export type State = Int32Array;

const PART_AT: Readonly<Record<PartName, number>> = { ledger: 0, store: 1, source: 2 };
const ON_WAY = 3;
const RUNS = 4;

/** Calls whose callers got an error already, and which can still take effect. */
type OnWay = readonly Call[];

/**
 * The parts and the runs of a scenario, and the steps that are possible. A step changes one part
 * and one process, and is computed once for each pair of their states.
 */
export class System {
  readonly world = new World();
  readonly scenario: Scenario;
  readonly runs: readonly RunStates[];
  readonly locals: LocalStates;
  readonly #onWay = new Numbered<OnWay>();
  readonly #errors: Readonly<Record<"error" | "error for good", Answer>>;

  constructor(scenario: Scenario) {
    this.scenario = scenario;
    this.locals = new LocalStates(this.world, scenario.shape);
    this.runs = scenario.runs.map((plan) => new RunStates(plan, this.locals));
    this.#onWay.number("", () => []);
    const errorOf = (retryable: boolean) =>
      this.world.error(MillraceError.from({ code: "INJECTED", message: "the call failed", retryable }));
    this.#errors = { error: errorOf(true), "error for good": errorOf(false) };
  }

  get width(): number {
    return RUNS + this.runs.length;
  }

  /** The state before the first step. */
  async start(): Promise<State> {
    const state = new Int32Array(this.width);
    for (const [at, run] of this.runs.entries()) state[RUNS + at] = (await run.start()).id;
    return state;
  }

  snapshot(state: State): Snapshot {
    const [ledger = 0, store = 0, source = 0] = state;
    return {
      records: this.world.content("ledger", ledger),
      objects: this.world.content("store", store),
      acknowledged: this.world.content("source", source),
    };
  }

  run(state: State, run: number): RunState {
    return (this.runs[run] as RunStates).at(state[RUNS + run] as number);
  }

  onWay(state: State): OnWay {
    return this.#onWay.at(state[ON_WAY] as number);
  }

  /** Returns the steps that are possible in a state. */
  actions(state: State, mayFail: boolean): Action[] {
    const actions: Action[] = this.onWay(state).map((_, process) => ({ kind: "land", run: 0, process }));
    for (const [run, { plan }] of this.runs.entries()) {
      // Runs differ by their names only. Whichever begins first is called the first.
      if (run > 0 && plan.vacuum === undefined && state[PART_AT.ledger] === 0) continue;
      const { processes } = this.run(state, run);
      for (const [process, each] of processes.entries()) {
        actions.push({ kind: "answer", run, process });
        if (mayFail && plan.vacuum === undefined) actions.push(...this.#faults(run, process, each));
      }
    }
    return actions;
  }

  #faults(run: number, process: number, each: RunProcess): Action[] {
    const kinds: Kind[] = ["error", "error for good"];
    const { plan } = this.runs[run] as RunStates;
    const { step, tries } = each.state.program;
    if (!each.isGivenUp && tries + 1 < plan.tries) kinds.push("retry");
    if (!each.isGivenUp && step === "write") kinds.push("fail");
    return kinds.map((kind) => ({ kind, run, process }));
  }

  /**
   * Makes a step, and changes `state` to the state after it. Returns the rule that the step broke,
   * or `undefined`; a promise only if the step was not made in these states before.
   */
  make(action: Action, state: State): string | undefined | Promise<string | undefined> {
    const { kind, run, process } = action;
    if (kind === "land") return this.#land(process, state);
    if (kind === "retry" || kind === "fail") return this.#giveUp(action, state);
    const before = this.run(state, run);
    const call = callOf(before, process);
    if (kind !== "answer") {
      if (!call.isRead) state[ON_WAY] = this.#numberOf([...this.onWay(state), call]);
      return this.#give(this.#errors[kind], action, state);
    }
    const effect = this.world.knownEffect(call, state[PART_AT[call.part]] as number);
    if (effect === undefined) return this.#answerFirst(action, state, call);
    state[PART_AT[call.part]] = effect.after;
    return effect.problem ?? this.#give(effect.answer, action, state);
  }

  async #answerFirst(action: Action, state: State, call: Call): Promise<string | undefined> {
    const { after, answer, problem } = await this.effect(call, state);
    state[PART_AT[call.part]] = after;
    return problem ?? (await this.#give(answer, action, state));
  }

  /** Answers a process. */
  #give(
    answer: Answer,
    { run, process }: Action,
    state: State,
  ): string | undefined | Promise<string | undefined> {
    const runs = this.runs[run] as RunStates;
    const before = this.run(state, run);
    const took = (after: RunState) => {
      state[RUNS + run] = after.id;
      return after.problem;
    };
    const known = runs.known(before, process, answer);
    return known === undefined ? runs.after(before, process, answer).then(took) : took(known);
  }

  async #giveUp({ kind, run, process }: Action, state: State): Promise<string | undefined> {
    const runs = this.runs[run] as RunStates;
    const after = await runs.givenUp(this.run(state, run), process, kind === "fail");
    state[RUNS + run] = after.id;
    return after.problem;
  }

  #land(at: number, state: State): string | undefined | Promise<string | undefined> {
    const calls = this.onWay(state);
    const call = calls[at] as Call;
    state[ON_WAY] = this.#numberOf(calls.filter((_, each) => each !== at));
    const took = ({ after, problem }: Effect) => {
      state[PART_AT[call.part]] = after;
      return problem;
    };
    const known = this.world.knownEffect(call, state[PART_AT[call.part]] as number);
    return known === undefined ? this.effect(call, state).then(took) : took(known);
  }

  /** Returns what a call would do in a state. */
  async effect(call: Call, state: State): Promise<Effect> {
    return await this.world.effect(call, state[PART_AT[call.part]] as number);
  }

  #numberOf(calls: OnWay): number {
    const sorted = [...calls].sort((a, b) => a.id - b.id);
    return this.#onWay.number(sorted.map(({ id }) => id).join(" "), () => sorted);
  }
}

/** The call that a process of a run waits for. A run keeps no process that has ended. */
export function callOf({ processes }: RunState, process: number): Call {
  return processes[process]?.state.call as Call;
}

/** A number for the parts of a state that outlive all processes. */
export function worldOf(state: State): number {
  const [ledger = 0, store = 0, source = 0] = state;
  return (ledger * 2 ** 22 + store) * 2 ** (53 - 44) + source;
}

/** True if two states have the same world. */
export function isSameWorld(a: State, b: State): boolean {
  return PARTS.every((part) => a[PART_AT[part]] === b[PART_AT[part]]);
}
