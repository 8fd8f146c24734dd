import { accessSync, closeSync, constants, existsSync, mkdirSync, openSync, rmSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout } from "node:timers/promises";
import { MillraceError } from "../shared/contract/errors.ts";
import type { Owner } from "../shared/engine/ports/ledger.ts";
import { adviceFor, systemCodeOfSqlite } from "../shared/platform/embedded/advice.ts";
import { fileRights } from "../shared/platform/embedded/durable.ts";

/**
 * Proves that a run is alive by keeping a file locked. The operating system releases the lock when
 * the process ends in any way, so the next run can take over immediately from one that was killed.
 * The lock only saves time; correctness depends on the epochs in the ledger. It uses SQLite because
 * that is a portable way to lock a file in Node.
 */
export class OwnerLock {
  readonly owner: Owner;
  readonly #path: string;
  readonly #lock: DatabaseSync;

  /** Locks a new file. Its name has the run's id, so no other run uses it. */
  constructor(folder: string, id: string, description = `process ${process.pid} on ${hostname()}`) {
    this.owner = { id, description };
    this.#path = lockPath(folder, id);
    try {
      // Folder and file get the rights of the home.
      const rights = statSync(dirname(folder), { throwIfNoEntry: false })?.mode ?? 0o700;
      mkdirSync(folder, { recursive: true, mode: rights & 0o777 });
      closeSync(openSync(this.#path, "a", fileRights(rights)));
      this.#lock = new DatabaseSync(this.#path);
      this.#lock.exec("BEGIN EXCLUSIVE");
    } catch (error) {
      throw new MillraceError("LEDGER_FAILED", `the run cannot lock a file: ${String(error)}`, {
        where: { path: this.#path },
        ...adviceFor(systemCodeOfSqlite(error, this.#path)),
        cause: error,
      });
    }
  }

  release(): void {
    this.#lock.close();
    rmSync(this.#path, { force: true });
  }
}

/**
 * A lock that is not available is tried again: two processes that probe the same lock at once block
 * each other for a few milliseconds.
 */
const PROBES = 5;
const PROBE_PAUSE_MILLISECONDS = 20;

/** Returns true if the owner's process has ended, which means that its lock is free. */
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

/**
 * A process without write permission detects the lock by reading: an exclusive lock also blocks
 * readers.
 */
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
