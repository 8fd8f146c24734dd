import { join } from "node:path";
import { Home, openStore } from "../../local/home.ts";
import { loadPipeline } from "../../local/load-pipeline.ts";
import { type FinalizeResult, finalize } from "../../shared/engine/finalize.ts";
import { type PlannedBatch, plan } from "../../shared/engine/plan.ts";
import type { Ledger } from "../../shared/engine/ports/ledger.ts";
import type { Ports } from "../../shared/engine/ports/runtime.ts";
import { openSessions, type Sessions } from "../../shared/engine/sessions/open-sessions.ts";
import { write } from "../../shared/engine/write/task.ts";
import { DirectoryStore } from "../../shared/platform/embedded/directory-store.ts";
import { WRITTEN_AT } from "./project.ts";

/** Where a run of these tests keeps its state. */
export interface Place {
  /** The project's folder, with `pipeline.ts`. */
  readonly folder: string;
  readonly ledger: Ledger;
  /** Folder of the pipeline's store. */
  readonly store: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The first digits of all ids. */
  readonly life: string;
}

/** Steps of one run of a pipeline, in this process, with a clock and ids that repeat. */
export class OldRun {
  readonly sessions: Sessions;
  readonly ports: Ports;
  readonly #owner: string;

  static async open(place: Place, owner = "writer"): Promise<OldRun> {
    const ports = portsOf(place);
    const pipeline = await loadPipeline(join(place.folder, "pipeline.ts"));
    return new OldRun(await openSessions(pipeline, ports), ports, owner);
  }

  private constructor(sessions: Sessions, ports: Ports, owner: string) {
    this.sessions = sessions;
    this.ports = ports;
    this.#owner = owner;
  }

  /** Plans or resumes a batch. Throws if there is no new data. */
  async plan(): Promise<PlannedBatch> {
    const planned = await this.#plan();
    if (planned === undefined) throw new Error("there is no batch");
    return planned;
  }

  async write({ run }: PlannedBatch, partition: number): Promise<void> {
    const { signal } = new AbortController();
    await write(this.sessions, this.ports, { run, partition, attemptNumber: 0 }, { signal });
  }

  async finalize({ run }: PlannedBatch, ports: Ports = this.ports): Promise<FinalizeResult> {
    return await finalize(this.sessions, ports, { run });
  }

  /** Runs one batch to its end. Returns `undefined` if there is no new data. */
  async batch(): Promise<FinalizeResult | undefined> {
    const planned = await this.#plan();
    if (planned === undefined) return undefined;
    for (const partition of planned.todo) await this.write(planned, partition);
    return await this.finalize(planned);
  }

  async #plan(): Promise<PlannedBatch | undefined> {
    const planned = await plan(this.sessions, this.ports, {
      owner: { id: this.#owner, description: `run ${this.#owner}` },
      leaseMilliseconds: 60_000,
      hasEnded: async () => true,
    });
    return planned.kind === "batch" ? planned : undefined;
  }
}

function portsOf({ ledger, store, env = {}, life }: Place): Ports {
  let time = WRITTEN_AT;
  let ids = 0;
  return {
    ledger,
    store: new DirectoryStore(store),
    openStore,
    runtime: {
      now: () => time++,
      monotonic: () => time,
      random: () => 0.5,
      newId: () => `${life}-0000-4000-8000-${String(++ids).padStart(12, "0")}`,
      env: { ...process.env, ...env },
      sleep: async () => undefined,
    },
  };
}

/** The home of a project, as `--home home` names it. */
export function homeOf(folder: string): Home {
  return new Home(join(folder, "home"));
}

/**
 * The ledger of a process that dies at the moment when it would end the batch. It takes no items of
 * the sink, because a commit in the ledger's transaction has no such moment.
 */
export function dyingAtTheEnd(ledger: Ledger): Ledger {
  const finish = async (): Promise<never> => {
    throw new Error("the process died");
  };
  return new Proxy(ledger, {
    get: (target, name) => {
      if (name === "finish") return finish;
      if (name === "limits") return { ...ledger.limits, maxSinkItems: 0 };
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}
