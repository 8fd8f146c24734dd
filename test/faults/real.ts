import type { Runtime } from "../../shared/contract/context.ts";
import type { ObjectStore } from "../../shared/contract/object-store.ts";
import type { Ledger } from "../../shared/engine/ports/ledger.ts";
import type { BatchState } from "../../shared/engine/ports/states.ts";
import { type MemoryObjects, memoryObjects } from "../../shared/platform/memory/memory-store.ts";
import { Commits } from "./commits.ts";
import { Database } from "./database.ts";
import { LateCalls } from "./late-calls.ts";
import type { Setup, Shape } from "./setup.ts";
import type { Surroundings } from "./surroundings.ts";
import { World } from "./world.ts";

/**
 * An observation for the judge. It is stored as JSON, because its process may be killed before the
 * judge runs.
 */
export type Sight =
  | { readonly saw: "commit"; readonly attempt: string; readonly messages: string }
  | { readonly saw: "state"; readonly batchId: number; readonly attempt: number; readonly state: BatchState }
  | { readonly saw: "acknowledged"; readonly end: number }
  | { readonly saw: "broken"; readonly what: string };

/** The methods of a store that the judge needs. */
export type Readable = Pick<ObjectStore, "list" | "get" | "listUnfinished">;

export interface RealOptions {
  readonly pipeline: string;
  readonly shape: Shape;
  readonly ledger: Ledger;
  readonly store: ObjectStore;
  /** The same store for the judge. The judge's calls are not calls of the run. */
  readonly judged: Readable;
  readonly runtime: Runtime;
  /** Stores an observation before it returns, so that the observation survives a kill. */
  note(sight: Sight): void;
}

/** A real ledger and a real store with the clock of the test. */
export class RealWorld implements Surroundings {
  now: number;
  readonly pipeline: string;
  readonly shape: Shape;
  readonly ledger: Ledger;
  readonly store: ObjectStore;
  readonly late: LateCalls = new LateCalls();
  readonly setup: Setup = {};
  readonly database: Database = new Database();
  readonly #options: RealOptions;

  constructor(options: RealOptions) {
    this.now = options.runtime.now();
    this.pipeline = options.pipeline;
    this.shape = options.shape;
    this.ledger = options.ledger;
    this.store = options.store;
    this.#options = options;
  }

  runtime(): Runtime {
    return {
      ...this.#options.runtime,
      now: () => this.now,
      monotonic: () => this.now,
      sleep: async (milliseconds, signal) => {
        // A sleep with a signal is the timeout of a call. It never ends by itself here, because no
        // call takes that long.
        if (signal !== undefined)
          return await new Promise<void>((_, reject) => signal.addEventListener("abort", reject));
        this.now += milliseconds;
      },
    };
  }

  readonly commits = new Commits();

  async pass(): Promise<void> {
    await this.late.pass();
  }

  loseFile(): never {
    throw new Error("files of real stores are not lost");
  }

  broken(what: string): void {
    this.#options.note({ saw: "broken", what });
  }

  sawCommit(attempt: string, messages: string): void {
    this.#options.note({ saw: "commit", attempt, messages });
  }

  async sawState(batchId: number, attempt: number, state: BatchState): Promise<void> {
    // The table is read at once, because it may change after this moment.
    if (state === "aborting") await this.#now((world) => world.sawState(batchId, attempt, state));
    this.#options.note({ saw: "state", batchId, attempt, state });
  }

  sawTask(): void {}

  sawDamaged(): void {}

  sawPlanMissing(): void {
    this.broken("the plan of a batch was deleted");
  }

  /**
   * Does nothing, because real runs do not share which tasks were recorded. The tests in memory
   * judge repeated tasks.
   */
  sawRead(): void {}

  async sawAcknowledged(end: number): Promise<void> {
    await this.#now((world) => world.sawAcknowledged(end));
    this.#options.note({ saw: "acknowledged", end });
  }

  /** Judges an observation in a world with the present content of the store. */
  async #now(sight: (world: World) => void): Promise<void> {
    const { pipeline, ledger, shape } = this;
    const objects = await readObjects(this.#options.judged, "table/");
    const world = new World(shape, { remains: { pipeline, ledger, objects } });
    world.hasOneFault = true;
    sight(world);
    for (const what of world.violations) this.broken(what);
  }
}

/** Judges the content of a ledger and a store after all runs, and returns the violations. */
export async function judge(
  { pipeline, shape, ledger, judged }: Pick<RealOptions, "pipeline" | "shape" | "ledger" | "judged">,
  sights: readonly Sight[],
): Promise<readonly string[]> {
  const objects = await readObjects(judged, "");
  const world = new World(shape, { remains: { pipeline, ledger, objects } });
  // A key is never used twice, so it is enough to read the present files. If a file was deleted
  // after its commit, the judge finds that it is missing.
  for (const key of [...objects.objects.keys()].sort()) world.sawPut(key);
  for (const sight of sights) {
    if (sight.saw === "broken") world.broken(sight.what);
    else if (sight.saw === "commit") world.sawCommit(sight.attempt, sight.messages);
    else if (sight.saw === "state") world.sawState(sight.batchId, sight.attempt, sight.state);
    else world.acknowledged.add(sight.end);
  }
  await world.judge(Array.from({ length: shape.rows }, (_, id) => id));
  return world.violations;
}

/** Reads all objects of a store below a prefix. */
async function readObjects(store: Readable, prefix: string): Promise<MemoryObjects> {
  const copy = memoryObjects(() => 0);
  for await (const { key, modifiedAt } of store.list(prefix)) {
    const bytes = await store.get(key);
    if (bytes !== undefined) copy.objects.set(key, { bytes, modifiedAt });
  }
  for await (const upload of store.listUnfinished(prefix)) copy.uploads.set(upload.uploadId, upload);
  return copy;
}
