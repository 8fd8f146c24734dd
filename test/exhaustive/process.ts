import { ArrowTable } from "../../shared/connectors/arrow-table/index.ts";
import type { Runtime } from "../../shared/contract/context.ts";
import { DataSource } from "../../shared/contract/data-source.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import type { ObjectStore } from "../../shared/contract/object-store.ts";
import { type Pipeline, pipeline } from "../../shared/contract/pipeline.ts";
import { DataSourceStreamReader, type Row } from "../../shared/contract/stream-reader.ts";
import { finalize } from "../../shared/engine/finalize.ts";
import { type PlannedBatch, plan } from "../../shared/engine/plan.ts";
import type { Ledger } from "../../shared/engine/ports/ledger.ts";
import type { Ports } from "../../shared/engine/ports/runtime.ts";
import { openSessions } from "../../shared/engine/sessions/open-sessions.ts";
import { vacuum } from "../../shared/engine/vacuum.ts";
import { write } from "../../shared/engine/write/task.ts";
import { MemoryStore } from "../../shared/platform/memory/memory-store.ts";
import { type Answer, type Call, NOW } from "./calls.ts";
import { MemoryLedger } from "./memory-ledger.ts";
import type { World } from "./world.ts";

/** The rows of the source, and their division into batches and partitions. */
export interface Shape {
  readonly rows: number;
  readonly rowsABatch: number;
  readonly partitions: number;
  /** If true, each commit message is stored apart, like one that is too large for the ledger. */
  readonly hasLargeMessages?: boolean;
}

export const STEPS = ["plan", "write", "finalize", "vacuum"] as const;

/**
 * The files that are old enough for a vacuum. If only one kind is, its listing of the others is
 * empty, and is no step.
 */
export type OldFiles = "all" | "staged" | "plans";
const FOLDERS = { staged: "table/data/", plans: "batches/" } as const;

/** A step of a run. It is a process for itself: nothing but JSON passes from one to the next. */
export interface Program {
  /** A hexadecimal digit, unique in the search. */
  readonly run: string;
  readonly step: (typeof STEPS)[number];
  /** Number of the batch in the run, from 0. */
  readonly round: number;
  readonly partition: number;
  /** How often the step was tried before. */
  readonly tries: number;
  /** What `plan` returned, as JSON. Empty for a plan. The `OldFiles` of a vacuum. */
  readonly planned: string;
}

/** How a process ended. */
export interface Outcome {
  /** What the step returned, as JSON. */
  readonly value?: string;
  readonly error?: { readonly code: string; readonly message: string; readonly retryable: boolean };
}

interface Pending {
  readonly call: Call;
  resolve(value: unknown): void;
  reject(error: MillraceError): void;
}

export const PIPELINE = "numbers";
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * A process that runs the engine's code. Each call of the ledger, the store and the source's
 * `commit` waits for its answer.
 */
export class Process {
  outcome: Outcome | undefined;
  readonly #world: World;
  readonly #program: Program;
  readonly #shape: Shape;
  readonly #pending: Pending[] = [];
  #ids = 0;

  private constructor(world: World, program: Program, shape: Shape) {
    this.#world = world;
    this.#program = program;
    this.#shape = shape;
  }

  /** Starts a process. It has made its first call when this returns. */
  static async start(world: World, program: Program, shape: Shape): Promise<Process> {
    const started = new Process(world, program, shape);
    started.#run().then(
      (value) => {
        started.outcome = { value: JSON.stringify(value ?? null) };
      },
      (error: unknown) => {
        started.outcome = { error: errorOf(error) };
      },
    );
    await started.#settle();
    return started;
  }

  /** The calls that wait for their answers, in the order in which they were made. */
  get calls(): readonly Call[] {
    return this.#pending.map(({ call }) => call);
  }

  /**
   * Answers the oldest call. The process has made its next call, or has ended, when this returns.
   */
  async answer({ value, error }: Answer): Promise<void> {
    const { resolve, reject } = this.#pending.shift() as Pending;
    if (error === undefined) resolve(value);
    else reject(MillraceError.from(error));
    await this.#settle();
  }

  /**
   * Waits until the process waits for an answer. It uses no timers and no files, so one turn is
   * enough.
   */
  async #settle(): Promise<void> {
    await nextTurn();
    if (this.outcome === undefined && this.#pending.length === 0)
      throw new Error(`the step ${this.#program.step} waits for something that is not a call`);
  }

  #call(...[part, method, args, folder]: Parameters<World["call"]>): Promise<unknown> {
    const call = this.#world.call(part, method, args, folder);
    return new Promise((resolve, reject) => this.#pending.push({ call, resolve, reject }));
  }

  async #run(): Promise<unknown> {
    const ports = this.#ports();
    const sessions = await openSessions(this.#pipeline(), ports);
    const { run, step, partition, tries, planned } = this.#program;
    if (step === "vacuum") return await vacuum(sessions, ports, { olderThan: 0, dryRun: false });
    if (step === "plan") {
      const owner = { id: `run ${run}`, description: `run ${run}` };
      const hasEnded = async () => false;
      const found = await plan(sessions, ports, { owner, leaseMilliseconds: 0, hasEnded });
      if (found.kind !== "batch") await ports.ledger.release(found.fence);
      return found;
    }
    const batch = JSON.parse(planned) as PlannedBatch;
    if (step === "finalize") return (await finalize(sessions, ports, { run: batch.run })).batch.state;
    const { signal } = new AbortController();
    return await write(sessions, ports, { run: batch.run, partition, attemptNumber: tries }, { signal });
  }

  #ports(): Ports {
    return {
      ledger: this.#ledger(),
      store: this.#store(""),
      openStore: () => {
        throw new Error("there is no other store");
      },
      runtime: this.#runtime(),
    };
  }

  /** Ids do not depend on the order of the processes, so that equal states have equal ids. */
  #runtime(): Runtime {
    const { run, step, round, partition, tries } = this.#program;
    const prefix = `${run}${STEPS.indexOf(step)}${round}${partition}${tries}`.padEnd(8, "0");
    return {
      now: () => NOW,
      monotonic: () => 0,
      random: () => 0.5,
      newId: () => `${prefix}-0000-4000-8000-${String(++this.#ids).padStart(12, "0")}`,
      env: {},
      // A sleep with a signal is the time limit of a call. None takes that long.
      sleep: (_, signal) =>
        signal === undefined
          ? Promise.resolve()
          : new Promise((_resolve, reject) => signal.addEventListener("abort", reject)),
    };
  }

  #ledger(): Ledger {
    const { hasLargeMessages = false } = this.#shape;
    const { limits: usual } = new MemoryLedger();
    const limits = hasLargeMessages ? { ...usual, messageBytes: 0 } : usual;
    const method = (name: string) => {
      if (!(name in MemoryLedger.prototype)) return undefined;
      // No record is old enough to expire while the time stands still.
      if (name === "expireTasks") return async () => undefined;
      return (...args: unknown[]) => this.#call("ledger", name, args);
    };
    return new Proxy({} as Ledger, {
      get: (_, name) => (name === "limits" ? limits : typeof name === "string" ? method(name) : undefined),
    });
  }

  #store(folder: string): ObjectStore {
    const call = (name: string, args: readonly unknown[]) => this.#call("store", name, args, folder);
    const method = (name: string) => {
      if (name === "location") return `memory:${folder}`;
      if (name === "at") return (below: string) => this.#store(`${folder}${below}/`);
      // An object appears as a whole, so there are no unfinished uploads.
      if (name === "listUnfinished") return () => noUploads();
      if (name === "list") return (...args: unknown[]) => this.#list(folder, args);
      if (!(name in MemoryStore.prototype)) return undefined;
      return async (...args: unknown[]) => {
        if (name === "delete" && (args[0] as readonly string[]).length === 0) return undefined;
        return await call(name, await Promise.all(args.map(bytesOf)));
      };
    };
    return new Proxy({} as ObjectStore, {
      get: (_, name) => (typeof name === "string" ? method(name) : undefined),
    });
  }

  async *#list(folder: string, args: readonly unknown[]): AsyncGenerator<unknown> {
    const { step, planned } = this.#program;
    const isYoung = (each: keyof typeof FOLDERS) =>
      planned !== "all" && planned !== each && `${folder}${args[0]}`.startsWith(FOLDERS[each]);
    if (step === "vacuum" && (isYoung("staged") || isYoung("plans"))) return;
    yield* (await this.#call("store", "list", args, folder)) as readonly unknown[];
  }

  /**
   * The numbers from 0 into an Arrow table. Each run plans other partitions for a batch, so only
   * the partitions in the ledger are stable.
   */
  #pipeline(): Pipeline {
    type Position = { readonly n: number };
    type Slice = { readonly from: number; readonly to: number };
    const { rows, rowsABatch, partitions } = this.#shape;
    const shift = Number.parseInt(this.#program.run, 16) % 2;
    const commit = async (end: number) => {
      await this.#call("source", "commit", [end]);
    };
    class NumbersReader extends DataSourceStreamReader<Position, Slice> {
      override initialOffset(): Position {
        return { n: 0 };
      }
      override latestOffset(start: Position): Position {
        return { n: Math.min(start.n + rowsABatch, rows) };
      }
      override partitions(start: Position, end: Position): readonly Slice[] {
        const cut = (i: number) => (i === 0 ? start.n : Math.min(end.n, start.n + i + shift));
        return Array.from({ length: partitions }, (_, i) => ({
          from: cut(i),
          to: i === partitions - 1 ? end.n : cut(i + 1),
        }));
      }
      override *read({ from, to }: Slice): Generator<Row> {
        for (let id = from; id < to; id++) yield { id };
      }
      override commit(end: Position): Promise<void> {
        return commit(end.n);
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
    return pipeline(PIPELINE)
      .readStream.format(Numbers)
      .writeStream.format(ArrowTable) as unknown as Pipeline;
  }
}

async function* noUploads(): AsyncGenerator<never> {}

/** The body of a put as one piece: an object appears as a whole. */
async function bytesOf(arg: unknown): Promise<unknown> {
  if (typeof arg !== "object" || arg === null || !(Symbol.asyncIterator in arg)) return arg;
  return Buffer.concat(await Array.fromAsync(arg as AsyncIterable<Uint8Array>));
}

function errorOf(error: unknown): NonNullable<Outcome["error"]> {
  // A mistake in code, of the engine or of the search, must not look like a step that failed.
  if (!MillraceError.is(error)) throw error;
  if (error.cause instanceof TypeError) throw error.cause;
  const { code, message, retryable } = error;
  return { code, message, retryable };
}
