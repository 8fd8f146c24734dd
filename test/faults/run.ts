import { AsyncLocalStorage } from "node:async_hooks";
import { ArrowTable } from "../../shared/connectors/arrow-table/index.ts";
import type { ArrowTableWriter } from "../../shared/connectors/arrow-table/writer.ts";
import type { TaskContext } from "../../shared/contract/context.ts";
import { DataSource } from "../../shared/contract/data-source.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import type { ObjectInfo, ObjectStore } from "../../shared/contract/object-store.ts";
import { type Pipeline, pipeline } from "../../shared/contract/pipeline.ts";
import { ReadAllAvailable } from "../../shared/contract/read-limit.ts";
import { DataSourceStreamReader, type Row } from "../../shared/contract/stream-reader.ts";
import { finalize } from "../../shared/engine/finalize.ts";
import { OpenPipeline } from "../../shared/engine/open-pipeline.ts";
import { type PlanResult, plan } from "../../shared/engine/plan.ts";
import type { Ledger } from "../../shared/engine/ports/ledger.ts";
import type { Ports } from "../../shared/engine/ports/runtime.ts";
import { write } from "../../shared/engine/write/task.ts";
import type { Surroundings } from "./world.ts";

/**
 * What may go wrong at a call. `stop`: the whole run ends there, and no code of it runs again. `die`: the step that makes the call ends so, and the
 * run tries it again. `straggle`: the run gives the step up and tries it again, and later the step goes on; `overtaken`: it goes on as soon as the step that took its place has ended. `sleep`: the whole run stands still, and goes on
 * when others have worked. `twice`: the call is delivered twice.
 */
export const FAULTS = [
  "stop before",
  "stop after",
  "die before",
  "die after",
  "fail",
  "fail for good",
  "lost answer",
  "lost for good",
  "twice",
  "straggle before",
  "straggle after",
  "overtaken before",
  "overtaken after",
  "sleep before",
  "sleep after",
] as const;
export type FaultKind = (typeof FAULTS)[number];
export type Faults = ReadonlyMap<number, FaultKind>;

type Position = { readonly n: number };
type Slice = { readonly from: number; readonly to: number };
type Outcome = "idle" | "failed" | "stopped" | "asleep";

const LEASE_MILLISECONDS = 60_000;
const STEP_ATTEMPTS = 3;
const MAX_BATCHES = 20;
const never = <T>(): Promise<T> => new Promise<T>(() => undefined);

export interface RunOptions {
  readonly faults?: Faults;
  /** True: an execution that plans again until nothing is new. False: one batch. */
  readonly untilIdle?: boolean;
  /** True: any other run is taken to have ended, so that leases protect from nothing. */
  readonly takesOver?: boolean;
  /** Called before each call: runs that interleave wait here for their turn. */
  turn?(): Promise<void>;
  /** Ends the process that the run has for itself, where it has one: then `stop` is no pretence. */
  kill?(): void;
}

let runs = 0;

/** A step in a process of its own. */
class Step {
  readonly givenUp: Promise<never>;
  /** Its run goes on without it. */
  giveUp: () => void = () => undefined;
  /** It will make no call any more. */
  isOver = false;
  isGivenUp = false;

  constructor() {
    this.givenUp = new Promise((_, reject) => {
      this.giveUp = () => {
        this.isGivenUp = true;
        reject(new Error("the step was given up"));
      };
    });
    this.givenUp.catch(() => undefined);
  }
}

interface Sleeper {
  readonly step: Step;
  wake(): void;
}

/** The step that makes a call: a straggler makes calls beside the step that took its place. */
const current = new AsyncLocalStorage<Step>();

/** One run, as a state machine has it: steps in processes of their own, with JSON between them; each call of a port or of the contract is a point of fault. */
export class Run {
  /** Names of the calls made, in order: the fault points. */
  readonly calls: string[] = [];
  readonly #world: Surroundings;
  readonly #options: RunOptions;
  readonly #name = `run ${++runs}`;
  readonly #steps: Step[] = [];
  readonly #sleepers: Sleeper[] = [];
  readonly #overtaken: Sleeper[] = [];
  #outcome: Outcome | undefined;
  #hasFault = false;
  #changed = Promise.withResolvers<void>();

  constructor(world: Surroundings, options: RunOptions = {}) {
    this.#world = world;
    this.#options = options;
  }

  /** Runs until it ends, is stopped, or falls asleep. */
  async start(): Promise<Outcome> {
    void this.#execute().then((outcome) => this.#end(outcome));
    await this.#until(() => this.#outcome !== undefined);
    return this.#outcome ?? "stopped";
  }

  /** Lets what sleeps or straggles go on, one after the other, to its end. */
  async wake(): Promise<void> {
    const resting = () => this.#sleepers.length + this.#overtaken.length;
    const isOver = () => this.#outcome !== undefined && this.#steps.every((step) => step.isOver);
    while (this.#outcome !== "stopped" && !(resting() === 0 && isOver())) {
      const sleeper = this.#sleepers.shift() ?? this.#overtaken.shift();
      if (sleeper === undefined) await this.#until(() => resting() > 0 || isOver());
      else {
        const before = resting();
        if (this.#outcome === "asleep") this.#outcome = undefined;
        sleeper.wake();
        await this.#until(() => sleeper.step.isOver || resting() > before);
      }
    }
  }

  /** Waits for something that a change brings about; a run that is stopped has no more of them. */
  async #until(isSo: () => boolean): Promise<void> {
    while (!isSo() && this.#outcome !== "stopped") await this.#changed.promise;
  }

  #change(): void {
    const { resolve } = this.#changed;
    this.#changed = Promise.withResolvers<void>();
    resolve();
  }

  #end(outcome: Outcome): void {
    if (this.#outcome !== "stopped") this.#outcome = outcome;
    this.#change();
  }

  /** The pipeline and the ports, for what is not a step of a run. */
  async open(): Promise<{ readonly open: OpenPipeline; readonly ports: Ports }> {
    const ports = this.#ports();
    return { ports, open: await OpenPipeline.open(this.#definition(), ports) };
  }

  saw([messages, batchId, { attempt }]: Parameters<ArrowTableWriter["commit"]>): void {
    this.#world.sawCommit(batchId, attempt, JSON.stringify(messages));
  }

  async #execute(): Promise<Outcome> {
    try {
      for (let batches = 0; batches < MAX_BATCHES; batches++) {
        const planned = await this.#step("plan", () => this.#plan());
        if (planned.kind !== "batch") return "idle";
        for (const partition of planned.todo)
          await this.#step("write", (attemptNumber) => this.#write(planned, partition, attemptNumber)).catch(
            () => undefined,
          );
        const ended = await this.#step("finalize", () => this.#finalize(planned));
        if (ended.batch.state === "aborted" || ended.unacknowledged !== undefined) return "failed";
        if (this.#options.untilIdle === false) return "idle";
      }
      this.#world.broken("a run does not come to its end");
      return "failed";
    } catch {
      return "failed";
    }
  }

  async #step<T>(name: string, body: (attempt: number) => Promise<T>): Promise<T> {
    try {
      return await this.#attempts(name, body);
    } finally {
      for (let late = this.#overtaken.shift(); late !== undefined; late = this.#overtaken.shift()) {
        const { step, wake } = late;
        wake();
        const rests = () => [...this.#sleepers, ...this.#overtaken].some((each) => each.step === step);
        await this.#until(() => step.isOver || rests());
      }
    }
  }

  /** A step, tried again as Step Functions does. */
  async #attempts<T>(name: string, body: (attempt: number) => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      const step = new Step();
      this.#steps.push(step);
      try {
        const result = current.run(step, () => this.point(`step ${name}`, () => body(attempt)));
        const over = () => {
          step.isOver = true;
          this.#change();
        };
        result.then(over, over);
        return await Promise.race([result, step.givenUp]);
      } catch (error) {
        const isFinal = MillraceError.is(error) && !error.retryable;
        if (isFinal || attempt + 1 >= STEP_ATTEMPTS) throw error;
      }
    }
  }

  async #plan(): Promise<PlanResult> {
    const { open, ports } = await this.open();
    const planned = await plan(open, ports, {
      owner: { id: this.#name, description: this.#name },
      leaseMilliseconds: LEASE_MILLISECONDS,
      limit: new ReadAllAvailable(),
      hasEnded: async () => this.#options.takesOver ?? false,
    });
    if (planned.kind !== "batch") await ports.ledger.release(planned.fence);
    return JSON.parse(JSON.stringify(planned)) as PlanResult;
  }

  async #write(
    planned: Extract<PlanResult, { kind: "batch" }>,
    partition: number,
    attemptNumber: number,
  ): Promise<void> {
    const { open, ports } = await this.open();
    const { signal } = new AbortController();
    await write(open, ports, { run: planned.run, partition, attemptNumber }, { signal });
  }

  async #finalize(planned: Extract<PlanResult, { kind: "batch" }>): ReturnType<typeof finalize> {
    const { open, ports } = await this.open();
    return await finalize(open, ports, { run: planned.run });
  }

  #isStopped(): boolean {
    return this.#outcome === "stopped";
  }

  /** One call: `effect` is what takes place elsewhere. */
  async point<T>(name: string, effect: () => Promise<T>): Promise<T> {
    // Whatever else the process was at ended with it.
    if (this.#isStopped()) return await never();
    const index = this.calls.push(name) - 1;
    await this.#options.turn?.();
    if (this.#isStopped()) return await never();
    this.#world.now++;
    const fault = this.#options.faults?.get(index);
    if (fault === undefined) return await effect();
    this.#hasFault = true;
    switch (fault) {
      case "stop before":
        return await this.stop();
      case "stop after":
        await effect().catch(() => undefined);
        return await this.stop();
      case "die before":
        return await this.#die();
      case "die after":
        await effect().catch(() => undefined);
        return await this.#die();
      case "fail":
        throw injected("the call failed", true);
      case "fail for good":
        throw injected("the call failed for good", false);
      case "lost answer":
        await effect();
        throw injected("the answer was lost", true);
      case "lost for good":
        await effect();
        throw injected("the answer was lost for good", false);
      case "twice": {
        const first = await effect();
        await effect().catch(() => undefined);
        return first;
      }
      case "straggle before":
        await this.#straggle();
        return await effect();
      case "straggle after": {
        const result = await effect();
        await this.#straggle();
        return result;
      }
      case "overtaken before":
        await this.#straggle(this.#overtaken);
        return await effect();
      case "overtaken after": {
        const result = await effect();
        await this.#straggle(this.#overtaken);
        return result;
      }
      case "sleep before":
        await this.#sleep();
        return await effect();
      case "sleep after": {
        const result = await effect();
        await this.#sleep();
        return result;
      }
    }
  }

  /** Ends the run here and now: whoever waits for the answer waits for ever. */
  async stop(): Promise<never> {
    this.#options.kill?.();
    this.#end("stopped");
    return await never();
  }

  async #die<T>(): Promise<T> {
    const step = current.getStore();
    if (step !== undefined) step.isOver = true;
    step?.giveUp();
    this.#change();
    return await never();
  }

  async #straggle(sleepers = this.#sleepers): Promise<void> {
    current.getStore()?.giveUp();
    await this.#rest(sleepers);
  }

  async #sleep(): Promise<void> {
    // A straggler that sleeps keeps nobody.
    const isMain = this.#outcome === undefined && current.getStore()?.isGivenUp !== true;
    if (isMain) this.#outcome = "asleep";
    await this.#rest();
  }

  async #rest(sleepers = this.#sleepers): Promise<void> {
    const step = current.getStore() ?? new Step();
    const woken = new Promise<void>((resolve) => sleepers.push({ step, wake: resolve }));
    this.#change();
    await woken;
  }

  #ports(): Ports {
    const world = this.#world;
    return {
      ledger: this.#faultyLedger(world.ledger),
      store: new FaultyStore(world.store, this),
      openStore: () => {
        throw new Error("there is no other store");
      },
      runtime: world.runtime(),
    };
  }

  /** Each method of the ledger is a point; what it gives is told to the world, which judges. */
  #faultyLedger(ledger: Ledger): Ledger {
    const world = this.#world;
    const point = this.point.bind(this);
    return new Proxy(ledger, {
      get(target, name) {
        const method = Reflect.get(target, name) as unknown;
        if (typeof method !== "function") return method;
        return (...args: unknown[]) =>
          point(`ledger.${String(name)}`, async () => {
            const result: unknown = await (method.apply(target, args) as Promise<unknown>);
            if (name === "decide" || name === "finish" || name === "replan") {
              const batch = result as Awaited<ReturnType<Ledger["decide"]>>;
              await world.sawState(batch.batchId, batch.attempt, batch.state);
            }
            if (name === "recordTask") {
              const [{ batchId, attempt, partition }] = args as Parameters<Ledger["recordTask"]>;
              world.sawTask(`${batchId}/${attempt}/${partition}`);
            }
            return result;
          });
      },
    });
  }

  /** The numbers from 0, into an Arrow table. How a batch is cut differs each time it is asked: only what was recorded is stable. */
  #definition(): Pipeline {
    const run = this;
    const world = this.#world;
    const { rows, rowsABatch, partitions } = world.shape;
    class NumbersReader extends DataSourceStreamReader<Position, Slice> {
      override initialOffset(): Promise<Position> {
        return run.point("source.initialOffset", async () => ({ n: 0 }));
      }
      override latestOffset(start: Position): Promise<Position> {
        return run.point("source.latestOffset", async () => ({ n: Math.min(start.n + rowsABatch, rows) }));
      }
      override partitions(start: Position, end: Position): Promise<readonly Slice[]> {
        return run.point("source.partitions", async () =>
          slicesOf(start.n, end.n, partitions + (run.calls.length % 2)),
        );
      }
      override async *read({ from, to }: Slice, task: TaskContext): AsyncGenerator<Row> {
        const key = `${task.batchId}/${task.attempt}/${task.partitionId}`;
        await run.point("source.read", async () =>
          world.sawRead(key, !run.#hasFault && run.#options.turn === undefined),
        );
        for (let id = from; id < to; id++) yield { id };
      }
      override commit(end: Position): Promise<void> {
        return run.point("source.commit", async () => world.sawAcknowledged(end.n));
      }
    }
    class Numbers extends DataSource {
      override schema(): string {
        return "id bigint NOT NULL";
      }
      override streamReader(): NumbersReader {
        return new NumbersReader();
      }
    }
    class Table extends ArrowTable {
      override streamWriter(
        ...args: Parameters<ArrowTable["streamWriter"]>
      ): ReturnType<ArrowTable["streamWriter"]> {
        return faultyWriter(super.streamWriter(...args), run);
      }
    }
    return pipeline(world.pipeline)
      .readStream.format(Numbers)
      .writeStream.format(Table) as unknown as Pipeline;
  }
}

function slicesOf(from: number, to: number, count: number): readonly Slice[] {
  const step = Math.ceil((to - from) / count);
  return Array.from({ length: count }, (_, i) => ({
    from: Math.min(to, from + i * step),
    to: Math.min(to, from + (i + 1) * step),
  }));
}

/** Each method of the sink's writer is a point. */
function faultyWriter<W extends object>(writer: W, run: Run): W {
  return new Proxy(writer, {
    get(target, name) {
      const method = Reflect.get(target, name) as unknown;
      if (typeof method !== "function") return method;
      const call = (args: unknown[]) => method.apply(target, args) as Promise<unknown>;
      return (...args: unknown[]) =>
        run.point(`sink.${String(name)}`, () => {
          if (name === "commit") run.saw(args as Parameters<ArrowTableWriter["commit"]>);
          return call(args);
        });
    },
  });
}

async function* streamOf(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

/** Each call of the store is a point. */
class FaultyStore implements ObjectStore {
  readonly location: string;
  readonly #inner: ObjectStore;
  readonly #run: Run;

  constructor(inner: ObjectStore, run: Run) {
    this.location = inner.location;
    this.#inner = inner;
    this.#run = run;
  }

  async put(key: string, body: Uint8Array | AsyncIterable<Uint8Array>): Promise<boolean> {
    if (body instanceof Uint8Array)
      return await this.#run.point("store.put", () => this.#inner.put(key, body));
    // Gathered first: what reads the body has points of its own, and a call may be delivered twice.
    const chunks = await Array.fromAsync(body);
    return await this.#run.point("store.put", () => this.#inner.put(key, streamOf(chunks)));
  }

  get(key: string): Promise<Uint8Array | undefined> {
    return this.#run.point("store.get", () => this.#inner.get(key));
  }

  getRange(key: string, start: number, end: number): Promise<Uint8Array | undefined> {
    return this.#run.point("store.getRange", () => this.#inner.getRange(key, start, end));
  }

  async *list(prefix: string, options?: { readonly startAfter?: string }): AsyncGenerator<ObjectInfo> {
    yield* await this.#run.point("store.list", () => Array.fromAsync(this.#inner.list(prefix, options)));
  }

  delete(keys: readonly string[]): Promise<void> {
    return this.#run.point("store.delete", () => this.#inner.delete(keys));
  }

  listUnfinished(prefix: string): ReturnType<ObjectStore["listUnfinished"]> {
    return this.#inner.listUnfinished(prefix);
  }

  abandon(upload: Parameters<ObjectStore["abandon"]>[0]): Promise<void> {
    return this.#inner.abandon(upload);
  }

  at(folder: string): ObjectStore {
    return new FaultyStore(this.#inner.at(folder), this.#run);
  }
}

function injected(message: string, retryable: boolean): MillraceError {
  return MillraceError.from({ code: "INJECTED", message, retryable });
}
