import type { Runtime } from "../../shared/contract/context.ts";
import type { ObjectStore } from "../../shared/contract/object-store.ts";
import type { Ledger } from "../../shared/engine/ports/ledger.ts";
import type { BatchState } from "../../shared/engine/ports/states.ts";
import type { Commits } from "./commits.ts";
import type { Database } from "./database.ts";
import type { LateCalls } from "./late-calls.ts";
import type { Setup, Shape } from "./setup.ts";

/** The ledger, the store and the source of a run, and the judge that observes the run. */
export interface Surroundings {
  now: number;
  readonly pipeline: string;
  readonly shape: Shape;
  readonly ledger: Ledger;
  readonly store: ObjectStore;
  readonly late: LateCalls;
  readonly setup: Setup;
  /** The database of a sink that does not write into the store. */
  readonly database: Database;
  /** The runtime of a process whose clock is fast by `skew` milliseconds. */
  runtime(skew?: number): Runtime;
  /** Called before each call of any run, with the name of the call. */
  pass(name: string): Promise<void>;
  readonly commits: Commits;
  /** Deletes a file that the open batch needs, unless a commit of the batch was tried. */
  loseFile(number: number): Promise<void>;
  broken(what: string): void;
  sawCommit(attempt: string, messages: string): void;
  sawState(batchId: number, attempt: number, state: BatchState): void | Promise<void>;
  sawTask(key: string): void;
  sawPlanMissing(): void;
  sawDamaged(): void;
  sawRead(key: string, isAlone: boolean): void;
  sawAcknowledged(end: number): void | Promise<void>;
}
