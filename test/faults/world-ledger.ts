import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Ledger } from "../../shared/engine/ports/ledger.ts";
import { callName } from "./kinds.ts";

type ClosableLedger = Ledger & { close?(): void };

/** A folder in memory, if there is one, because copies of a ledger need not survive the test. */
const MEMORY = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/**
 * When the ledger becomes older. Before call `back` there comes the copy that was made before call
 * `keep`, or an empty ledger if no copy was made. A call is given by its number among the calls of
 * all runs, from 1, or by its name: `"ledger.acquire #2"` is the second call with this name.
 */
export interface Rollback {
  readonly keep?: number | string;
  readonly back: number | string;
}

interface WorldLedgerOptions {
  /** True if the ledger is a file, so that a copy of it can be put back. */
  readonly isOnDisk: boolean;
  /** True if each commit message is too large for the ledger. */
  readonly hasLargeMessages: boolean;
  readonly rollback?: Rollback;
}

/** The ledger of a world, which can be lost, or replaced by an older copy. */
export class WorldLedger {
  readonly #make: (path: string) => ClosableLedger;
  /** The file of the ledger, if a copy of it must be put back. */
  readonly #file: string | undefined;
  readonly #hasLargeMessages: boolean;
  readonly #rollback: Rollback | undefined;
  #present: ClosableLedger;
  /** The names of the calls of all runs. */
  readonly #calls: string[] = [];
  #restore: (() => void) | undefined;
  #isDue = false;
  #isRolledBack = false;

  constructor(make: (path: string) => ClosableLedger, options: WorldLedgerOptions) {
    const { isOnDisk, hasLargeMessages } = options;
    this.#rollback = options.rollback;
    this.#make = make;
    this.#file = isOnDisk ? join(mkdtempSync(join(MEMORY, "millrace-")), "ledger.sqlite") : undefined;
    this.#hasLargeMessages = hasLargeMessages;
    this.#present = make(this.#file ?? ":memory:");
  }

  /** The present ledger. A run that sleeps while the ledger is replaced finds the new one. */
  readonly ledger: Ledger = new Proxy({} as Ledger, {
    get: (_, name) => {
      const value = Reflect.get(this.#present, name) as unknown;
      if (name === "limits" && this.#hasLargeMessages) return { ...this.#present.limits, messageBytes: 0 };
      if (typeof value !== "function") return value;
      return (...args: unknown[]) =>
        (Reflect.get(this.#present, name) as typeof value).apply(this.#present, args) as unknown;
    },
  });

  get isRolledBack(): boolean {
    return this.#isRolledBack;
  }

  /**
   * Called before each call of any run. Returns true if the ledger is rolled back now. That waits
   * for the end of a commit that is under way: the older ledger does not know of it, so the batch
   * may be aborted before the commit takes effect, and nothing could tell.
   */
  pass(name: string, isCommitting: boolean): boolean {
    if (this.#rollback === undefined) return false;
    const number = this.#calls.push(name);
    const at = callName(name, this.#calls.filter((call) => call === name).length);
    const { keep, back } = this.#rollback;
    if (keep === number || keep === at) this.#restore = this.keep();
    if (back === number || back === at) this.#isDue = true;
    return this.#isDue && !isCommitting && this.rollBack();
  }

  /** Rolls the ledger back, unless that is done already. Returns true if it is older now. */
  rollBack(): boolean {
    if (this.#rollback === undefined || this.#isRolledBack) return false;
    this.#isRolledBack = true;
    if (this.#restore === undefined) this.lose();
    else this.#restore();
    return true;
  }

  /** Deletes the ledger and creates an empty one. */
  lose(): void {
    this.#remove();
    this.#present = this.#make(this.#file ?? ":memory:");
  }

  /** Keeps a copy of the ledger. Returns a function that puts it back. */
  keep(): () => void {
    const file = this.#file;
    if (file === undefined) throw new Error("the ledger is not on disk");
    this.#present.close?.();
    copyFileSync(file, `${file}.kept`);
    this.#present = this.#make(file);
    return () => {
      this.#remove();
      copyFileSync(`${file}.kept`, file);
      this.#present = this.#make(file);
    };
  }

  close(): void {
    this.#remove();
    if (this.#file !== undefined) rmSync(dirname(this.#file), { recursive: true, force: true });
  }

  #remove(): void {
    this.#present.close?.();
    if (this.#file !== undefined)
      for (const end of ["", "-wal", "-shm"]) rmSync(this.#file + end, { force: true });
  }
}
