import { accessSync, constants, existsSync, mkdirSync, rmSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout } from "node:timers/promises";
import type { Owner } from "../shared/engine/ports/ledger.ts";

/**
 * Proof that a run is alive: a file that it keeps locked. The operating system drops the lock when
 * the process ends, however it ends, so a run that was killed can be taken over at once. SQLite is
 * the portable way to lock a file in Node. It only saves time: that a lost run changes nothing is
 * up to the ledger's epochs.
 */
export class OwnerLock {
  readonly owner: Owner;
  readonly #path: string;
  readonly #lock: DatabaseSync;

  /** Takes a lock of its own name, which nobody else wants. */
  constructor(folder: string, id: string, description = `process ${process.pid} on ${hostname()}`) {
    mkdirSync(folder, { recursive: true });
    this.owner = { id, description };
    this.#path = lockPath(folder, id);
    this.#lock = new DatabaseSync(this.#path);
    this.#lock.exec("BEGIN EXCLUSIVE");
  }

  release(): void {
    this.#lock.close();
    rmSync(this.#path, { force: true });
  }
}

/** Two runs that ask at the same moment disturb each other for a millisecond or two. */
const PROBES = 5;
const PROBE_PAUSE_MILLISECONDS = 20;

/** True where the owner's process has ended: nobody holds its lock. */
export async function hasEnded(folder: string, owner: Owner): Promise<boolean> {
  const path = lockPath(folder, owner.id);
  for (let probe = 0; probe < PROBES; probe++) {
    if (probe > 0) await setTimeout(PROBE_PAUSE_MILLISECONDS);
    if (!isWritable(folder)) {
      if (!existsSync(path) || canRead(path)) return true;
    } else if (canLock(path)) {
      rmSync(path, { force: true });
      return true;
    }
  }
  return false;
}

function canLock(path: string): boolean {
  let probe: DatabaseSync | undefined;
  try {
    probe = new DatabaseSync(path);
    probe.exec("PRAGMA busy_timeout = 0");
    probe.exec("BEGIN EXCLUSIVE");
    return true;
  } catch {
    return false;
  } finally {
    probe?.close();
  }
}

/** One who may not write can at least see whether the lock, which lets nobody read, is held. */
function canRead(path: string): boolean {
  let probe: DatabaseSync | undefined;
  try {
    probe = new DatabaseSync(path, { readOnly: true });
    probe.prepare("SELECT * FROM sqlite_schema").all();
    return true;
  } catch {
    return false;
  } finally {
    probe?.close();
  }
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function lockPath(folder: string, id: string): string {
  return join(folder, `${id}.lock`);
}
