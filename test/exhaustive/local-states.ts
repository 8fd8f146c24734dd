import type { Answer, Call } from "./calls.ts";
import { type Outcome, Process, type Program, type Shape } from "./process.ts";
import { Numbered, type World } from "./world.ts";

/**
 * A state of a process: its program and the answers that it has received. The code is
 * deterministic, so these answers decide what it does next.
 */
export interface LocalState {
  readonly id: number;
  readonly program: Program;
  readonly answers: readonly Answer[];
  /** The call that waits for its answer. Absent if the process has ended. */
  readonly call?: Call;
  readonly outcome?: Outcome;
  /** True if an answer said that the run has lost the pipeline. */
  readonly isFenced: boolean;
}

interface Node extends LocalState {
  /** The states that follow, by answer. */
  readonly next: Map<number, Node>;
  /** A process in this state that nobody has answered yet. */
  live: Process | undefined;
}

/**
 * The states of all processes that were met. A process cannot be copied. To answer it in two ways,
 * its program is started again and gets the same answers, once for each new state and never again.
 */
export class LocalStates {
  readonly #world: World;
  readonly #shape: Shape;
  readonly #first = new Map<string, Node>();
  readonly #outcomes = new Numbered<Outcome>();
  #count = 0;

  constructor(world: World, shape: Shape) {
    this.#world = world;
    this.#shape = shape;
  }

  get count(): number {
    return this.#count;
  }

  async start(program: Program): Promise<LocalState> {
    const key = JSON.stringify(program);
    const known = this.#first.get(key);
    if (known !== undefined) return known;
    const process = await Process.start(this.#world, program, this.#shape);
    const node = this.#nodeOf(program, [], process, false);
    this.#first.set(key, node);
    return node;
  }

  /** Returns the state after an answer. */
  async after(state: LocalState, answer: Answer): Promise<LocalState> {
    const node = state as Node;
    const known = node.next.get(answer.id);
    if (known !== undefined) return known;
    const process = node.live ?? (await this.#again(node));
    node.live = undefined;
    await process.answer(answer);
    const isFenced = node.isFenced || answer.error?.code === "FENCED";
    const next = this.#nodeOf(node.program, [...node.answers, answer], process, isFenced);
    node.next.set(answer.id, next);
    return next;
  }

  async #again({ program, answers }: Node): Promise<Process> {
    const process = await Process.start(this.#world, program, this.#shape);
    for (const answer of answers) await process.answer(answer);
    return process;
  }

  #nodeOf(program: Program, answers: readonly Answer[], process: Process, isFenced: boolean): Node {
    const { calls, outcome } = process;
    const [call] = calls;
    const found = outcome === undefined ? { call: call as Call } : { outcome: this.#shared(outcome) };
    const live = outcome === undefined ? process : undefined;
    return { id: this.#count++, program, answers, ...found, isFenced, next: new Map(), live };
  }

  #shared(outcome: Outcome): Outcome {
    return this.#outcomes.get(JSON.stringify(outcome), () => outcome);
  }
}
