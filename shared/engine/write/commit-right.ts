import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import type { BatchRun } from "../ports/ledger.ts";
import type { Ports } from "../ports/runtime.ts";
import type { CommitAuthorization, CommitClaim, Task, TaskKey } from "../ports/tasks.ts";
import { callOrReadBack } from "../retry.ts";
import { cancelled } from "./rows.ts";

/** How often an attempt that was denied looks for the outcome of the other one. */
const POLL_MILLISECONDS = 500;
/**
 * How long a claim holds. The attempt renews it while it commits, so that the claim of an attempt
 * that was killed soon ends.
 */
const CLAIM_MILLISECONDS = 30_000;
const RENEWAL_MILLISECONDS = 10_000;

/** What a claim is about. */
export interface ClaimParts {
  readonly ports: Ports;
  readonly run: BatchRun;
  readonly key: TaskKey;
  readonly attemptNumber: number;
  readonly writerId: string;
  readonly where: ErrorLocation;
  readonly signal: AbortSignal;
  /** When the time of the attempt is over, in epoch milliseconds. Absent if nothing limits it. */
  readonly deadline: number | undefined;
  /** True if a claim is renewed until it is released or the attempt has ended. */
  readonly isRenewed: boolean;
}

/** Another attempt of the task, which may commit instead of this one. */
export interface OtherAttempt {
  /** Waits until the other attempt is recorded. Throws `COMMIT_DENIED` if it failed. */
  outcome(): Promise<Task>;
}

/**
 * The right of one attempt to commit. As Spark's commit coordinator does, the ledger gives it to
 * the first attempt that asks, until this attempt is recorded, fails, or its time is over.
 */
export class CommitRight {
  readonly #parts: ClaimParts;
  readonly #ended = new AbortController();
  #isHeld = false;
  /** Settles when no renewal is under way any more. */
  #renewing: Promise<void> | undefined;

  constructor(parts: ClaimParts) {
    this.#parts = parts;
  }

  /**
   * Asks for the right to commit. Returns the other attempt if that one has it. Writes that are not
   * coordinated always have it.
   */
  async ask(): Promise<OtherAttempt | undefined> {
    const { ports, run, key, writerId, isRenewed } = this.#parts;
    if (run.write?.isCoordinated !== true) return undefined;
    const now = ports.runtime.now();
    // If the answer is lost, the ledger may have given the right.
    this.#isHeld = true;
    const answer = await callOrReadBack<CommitAuthorization>(
      () => ports.ledger.authorizeCommit(key, this.#claim(now), now),
      async () => {
        const held = await ports.ledger.commitClaim(key);
        return held?.writerId === writerId ? ({ granted: true } as const) : undefined;
      },
    );
    this.#isHeld = answer.granted;
    if (answer.granted) {
      if (isRenewed) this.#renewing = this.#renew().catch(() => undefined);
      return undefined;
    }
    const outcome = async () => ("task" in answer ? answer.task : await this.#outcomeOfHolder(answer.holder));
    return { outcome };
  }

  /** Stops to renew the claim, because the attempt is recorded. */
  end(): void {
    this.#ended.abort();
  }

  /** Releases the right after a failure, so that another attempt may commit. */
  async release(): Promise<void> {
    const { ports, key, writerId } = this.#parts;
    this.end();
    // A renewal under way would otherwise claim again what is released here.
    await this.#renewing;
    if (!this.#isHeld) return;
    // If it fails, the claim ends with its time, or with the run.
    await ports.ledger.releaseCommit(key, writerId).catch(() => undefined);
  }

  #claim(now: number): CommitClaim {
    const { run, attemptNumber, writerId, deadline = Number.POSITIVE_INFINITY } = this.#parts;
    const expiresAt = Math.min(deadline, now + CLAIM_MILLISECONDS);
    return { writerId, attemptNumber, epoch: run.epoch, expiresAt };
  }

  /** Renews the claim until the attempt has ended. An error only lets the claim end sooner. */
  async #renew(): Promise<void> {
    const { ports, key } = this.#parts;
    for (;;) {
      await ports.runtime.sleep(RENEWAL_MILLISECONDS, this.#ended.signal);
      const now = ports.runtime.now();
      await ports.ledger.authorizeCommit(key, this.#claim(now), now).catch(() => undefined);
    }
  }

  async #outcomeOfHolder(holder: CommitClaim): Promise<Task> {
    const { ports, key, signal, where } = this.#parts;
    const { ledger, runtime } = ports;
    for (;;) {
      await runtime.sleep(POLL_MILLISECONDS);
      if (signal.aborted) throw cancelled(signal);
      const task = await ledger.task(key);
      if (task !== undefined) return task;
      const current = await ledger.commitClaim(key);
      if (current?.writerId === holder.writerId && current.expiresAt > runtime.now()) continue;
      throw new MillraceError(
        "COMMIT_DENIED",
        "another attempt of the task had the right to commit, and failed",
        { where, retryable: true, hint: "Nothing is lost: the task is tried again." },
      );
    }
  }
}
