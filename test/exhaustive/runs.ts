import type { PlannedBatch, PlanResult } from "../../shared/engine/plan.ts";
import type { Answer } from "./calls.ts";
import { isForbiddenWhenFenced } from "./judge.ts";
import type { LocalState, LocalStates } from "./local-states.ts";
import { type OldFiles, type Outcome, type Program, STEPS } from "./process.ts";
import { Numbered } from "./world.ts";

/** What a run is told to do. */
export interface RunPlan {
  /** A hexadecimal digit, unique in the search. */
  readonly digit: string;
  readonly name: string;
  /** Present for a vacuum: the files that are old enough for it. */
  readonly vacuum?: OldFiles;
  /** How many batches the run plans at most. */
  readonly rounds: number;
  /** How often each step is tried. */
  readonly tries: number;
}

/** A process of a run. */
export interface RunProcess {
  readonly state: LocalState;
  /** True if the run does not wait for it any more. The process may still go on. */
  readonly isGivenUp: boolean;
}

/** The state of a run: its processes, of one step or of steps that were given up. */
export interface RunState {
  readonly id: number;
  readonly processes: readonly RunProcess[];
  /** The rule that a process of the run breaks by its next call. */
  readonly problem: string | undefined;
  /** The states that follow, by process and answer. */
  readonly next: Map<number, RunState>;
}

const MAX_ANSWERS = 2 ** 32;

function gaveUp(retryable: boolean): Outcome {
  return { error: { code: "TIMED_OUT", message: "the step took too long", retryable } };
}

/**
 * The control of one run: what Step Functions does with the steps. Plan, then all tasks at once,
 * then Finalize. A step that failed or took too long is tried again.
 */
export class RunStates {
  readonly plan: RunPlan;
  readonly #locals: LocalStates;
  readonly #states = new Numbered<RunState>();

  constructor(plan: RunPlan, locals: LocalStates) {
    this.plan = plan;
    this.#locals = locals;
  }

  get count(): number {
    return this.#states.values.length;
  }

  at(id: number): RunState {
    return this.#states.at(id);
  }

  /** The state before the first call. */
  async start(): Promise<RunState> {
    return this.#stateOf(await this.#begin(this.#program("plan", 0, {})));
  }

  /** Returns the state after a process got an answer, if it is known already. */
  known(run: RunState, process: number, answer: Answer): RunState | undefined {
    return run.next.get(process * MAX_ANSWERS + answer.id);
  }

  async after(run: RunState, process: number, answer: Answer): Promise<RunState> {
    const known = this.known(run, process, answer);
    if (known !== undefined) return known;
    const { state, isGivenUp } = run.processes[process] as RunProcess;
    const others = run.processes.filter((_, at) => at !== process);
    const after = await this.#locals.after(state, answer);
    let processes = [...others, { state: after, isGivenUp }];
    if (after.outcome !== undefined)
      processes = isGivenUp
        ? others
        : [...others, ...(await this.#react(after.program, after.outcome, others))];
    const next = this.#stateOf(processes);
    run.next.set(process * MAX_ANSWERS + answer.id, next);
    return next;
  }

  /**
   * Returns the state after the run has given a process up, which goes on alone. The run tries the
   * step again, or with `isForGood` goes on without the task.
   */
  async givenUp(run: RunState, process: number, isForGood: boolean): Promise<RunState> {
    const { state } = run.processes[process] as RunProcess;
    const others = run.processes.filter((_, at) => at !== process);
    const begun = await this.#react(state.program, gaveUp(!isForGood), others);
    return this.#stateOf([...others, { state, isGivenUp: true }, ...begun]);
  }

  #program(step: Program["step"], round: number, rest: Partial<Program>): Program {
    const { digit, vacuum } = this.plan;
    const first = vacuum === undefined ? { step, planned: "" } : { step: "vacuum" as const, planned: vacuum };
    return { run: digit, round, partition: 0, tries: 0, ...first, ...rest };
  }

  async #begin(...programs: readonly Program[]): Promise<readonly RunProcess[]> {
    const states: LocalState[] = [];
    for (const program of programs) states.push(await this.#locals.start(program));
    return states.map((state) => ({ state, isGivenUp: false }));
  }

  /** Returns the processes that the run starts when one has ended that it waited for. */
  async #react(
    program: Program,
    { value = "null", error }: Outcome,
    others: readonly RunProcess[],
  ): Promise<readonly RunProcess[]> {
    const { step, round, tries } = program;
    const isAgain = error?.retryable === true && tries + 1 < this.plan.tries;
    if (isAgain) return await this.#begin({ ...program, tries: tries + 1 });
    if (step === "write") {
      if (others.some(({ isGivenUp }) => !isGivenUp)) return [];
      return await this.#begin({ ...program, step: "finalize", partition: 0, tries: 0 });
    }
    if (error !== undefined || step === "vacuum") return [];
    if (step === "finalize")
      return round + 1 < this.plan.rounds ? await this.#begin(this.#program("plan", round + 1, {})) : [];
    const planned = JSON.parse(value) as PlanResult;
    if (planned.kind !== "batch") return [];
    const { run, todo }: PlannedBatch = planned;
    const rest = { planned: JSON.stringify({ run }) };
    if (todo.length === 0) return await this.#begin(this.#program("finalize", round, rest));
    const tasks = todo.map((partition) => this.#program("write", round, { ...rest, partition }));
    return await this.#begin(...tasks);
  }

  #stateOf(unordered: readonly RunProcess[]): RunState {
    const processes = [...unordered].sort((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1));
    const key = processes.map(({ state, isGivenUp }) => `${state.id}${isGivenUp ? "-" : ""}`).join(" ");
    const problem = processes.some(
      ({ state: { isFenced, call } }) => isFenced && call !== undefined && isForbiddenWhenFenced(call),
    )
      ? "a run goes on although it was told that it has lost the pipeline"
      : undefined;
    return this.#states.get(key, (id) => ({ id, processes, problem, next: new Map() }));
  }
}

/** The place of a process among those of its run: the same in each search. */
function placeOf({ isGivenUp, state }: RunProcess): string {
  const { round, step, partition, tries } = state.program;
  return [Number(isGivenUp), round, STEPS.indexOf(step), partition, tries].join(" ");
}
