import { linkSignals } from "../shared/contract/abort.ts";
import { causeOf, type MillraceError } from "../shared/contract/errors.ts";
import { optional } from "../shared/contract/optional.ts";
import { backOff, retry } from "../shared/contract/retry.ts";
import type { BatchRun } from "../shared/engine/ports/ledger.ts";
import type { RunEvent } from "../shared/engine/ports/run-events.ts";
import type { Ports } from "../shared/engine/ports/runtime.ts";
import { STEP_RETRY } from "../shared/engine/retry.ts";
import { cancelled } from "../shared/engine/write/rows.ts";
import { unreadWarning } from "../shared/engine/write/task.ts";
import type { BatchProgressCounter } from "./batch-progress.ts";
import type { TaskRunner } from "./task-pool.ts";
import type { TaskSlots } from "./task-slots.ts";

/** How often the runner tries to release the claim of an attempt that has ended. */
const RELEASE_ATTEMPTS = 4;

/** What the tasks of a batch share. */
export interface TaskParts {
  readonly pool: TaskRunner;
  readonly ports: Ports;
  readonly slots: TaskSlots;
  readonly progress: BatchProgressCounter;
  readonly run: BatchRun;
  readonly maxAttempts: number;
  /** Aborts when the batch is lost or the run is interrupted. */
  readonly signal: AbortSignal;
  onEvent(event: RunEvent): void;
}

/** An attempt that has not ended. */
interface Running {
  readonly stopping: AbortController;
  /** In the time of `Runtime.monotonic`; absent while the attempt waits for a slot. */
  startedAt?: number;
  ended?: Promise<void>;
}

/**
 * The attempts of one task. An attempt that fails is followed by another one. If it is slow,
 * another one may run beside it: the first that succeeds ends the task.
 */
export class TaskAttempts {
  readonly #parts: TaskParts;
  readonly #partition: number;
  readonly #running = new Map<number, Running>();
  readonly #ended = new Set<number>();
  #begun = 0;
  /** Failures that count towards `maxAttempts`. */
  #failures = 0;
  /** How long the attempt took that has succeeded, in milliseconds. */
  #took: number | undefined;
  /**
   * The error of the attempts that run now or ran last: the first that no retry can cure, if any.
   */
  #error: MillraceError | undefined;
  #endRound: () => void = () => undefined;

  constructor(parts: TaskParts, partition: number) {
    this.#parts = parts;
    this.#partition = partition;
  }

  /**
   * Runs the task until an attempt has succeeded. Returns how long this attempt took, in
   * milliseconds. Throws the error of the last one otherwise.
   */
  async run(): Promise<number> {
    const { ports, maxAttempts, signal, onEvent } = this.#parts;
    for (;;) {
      await this.#round();
      if (this.#took !== undefined) return this.#took;
      const error = this.#error;
      if (error?.retryable !== true || this.#failures >= maxAttempts || signal.aborted) throw error;
      const policy = { ...STEP_RETRY, attempts: maxAttempts };
      const delay = backOff(policy, Math.max(1, this.#failures), () => ports.runtime.random());
      onEvent(retryEvent(error, delay));
      await ports.runtime.sleep(delay, signal);
    }
  }

  /** Begins a second attempt if the only one has run for more than `slowAfter` milliseconds. */
  speculate(slowAfter: number): void {
    const { ports, run, maxAttempts, signal, onEvent } = this.#parts;
    if (this.#took !== undefined || this.#failures >= maxAttempts || signal.aborted) return;
    const [only, another] = this.#running.values();
    if (only?.startedAt === undefined || another !== undefined) return;
    const milliseconds = ports.runtime.monotonic() - only.startedAt;
    if (milliseconds <= slowAfter) return;
    const { batchId, attempt } = run;
    const partition = this.#partition;
    const attemptNumber = this.#begun;
    onEvent({ type: "speculation", batchId, attempt, partition, attemptNumber, milliseconds, slowAfter });
    this.#begin();
  }

  /** Runs an attempt, and those that join it, until one succeeds or all have failed. */
  async #round(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#endRound = resolve;
    this.#error = undefined;
    this.#begin();
    await promise;
  }

  #begin(): void {
    const attemptNumber = this.#begun++;
    const running: Running = { stopping: new AbortController() };
    this.#running.set(attemptNumber, running);
    running.ended = this.#attempt(attemptNumber, running).catch((error: unknown) =>
      this.#fail(attemptNumber, error as MillraceError),
    );
  }

  #fail(attemptNumber: number, error: MillraceError): void {
    this.#running.delete(attemptNumber);
    if (this.#took !== undefined) return;
    const isDenied = error.code === "COMMIT_DENIED";
    if (!isDenied) this.#failures++;
    // An attempt that was denied says nothing of why the task fails.
    const replaces = this.#error === undefined || (this.#error.retryable && !isDenied);
    if (replaces) this.#error = error;
    const [goesOn] = this.#running.keys();
    if (goesOn === undefined) this.#endRound();
    else if (!this.#parts.signal.aborted) this.#parts.onEvent({ ...retryEvent(error, 0), goesOn });
  }

  async #attempt(attemptNumber: number, running: Running): Promise<void> {
    const { slots, ports, signal: batchSignal } = this.#parts;
    const { signal, unlink } = linkSignals(batchSignal, running.stopping.signal);
    try {
      await slots.use(async () => {
        if (signal.aborted) throw cancelled(signal);
        running.startedAt = ports.runtime.monotonic();
        // If the claim of an attempt that has ended could not be released, this one would wait.
        if (attemptNumber > 0) await this.#releaseClaim();
        await this.#runAttempt(attemptNumber, signal);
      });
    } finally {
      unlink();
    }
  }

  async #runAttempt(attemptNumber: number, signal: AbortSignal): Promise<void> {
    const { pool, run, progress, onEvent } = this.#parts;
    const request = { run, partition: this.#partition, attemptNumber };
    const attempt = progress.begin(this.#partition, attemptNumber);
    try {
      const result = await pool.run(request, {
        signal,
        onProgress: (now) => progress.update(attempt, now),
        onStalled: (stalled) => onEvent({ type: "stalled", ...stalled }),
      });
      if (this.#took !== undefined) return;
      progress.finish(attempt, result);
      if (result.unread && progress.isFirstUnread())
        onEvent({ type: "warning", error: unreadWarning(request).toRecord() });
      this.#succeed(attemptNumber);
    } catch (error) {
      progress.drop(attempt);
      this.#ended.add(attemptNumber);
      // An error here would hide that of the attempt. The next attempt releases the claim again.
      await this.#releaseClaim().catch(() => undefined);
      throw error;
    }
  }

  /** Ends the task. Other attempts of it are told to stop, and nothing waits for them. */
  #succeed(attemptNumber: number): void {
    const { startedAt = 0 } = this.#running.get(attemptNumber) ?? {};
    this.#took = this.#parts.ports.runtime.monotonic() - startedAt;
    for (const [other, { stopping, ended }] of this.#running) {
      if (other === attemptNumber) continue;
      if (ended !== undefined) this.#parts.slots.leave(ended);
      stopping.abort();
    }
    this.#endRound();
  }

  /**
   * Releases the claim of an attempt that has ended, such as one whose thread died. Otherwise no
   * other attempt could commit until the claim expires.
   */
  async #releaseClaim(): Promise<void> {
    const { ports, run, signal } = this.#parts;
    if (run.write?.isCoordinated !== true || this.#took !== undefined || signal.aborted) return;
    const key = { ...run, partition: this.#partition };
    await retry(ports.runtime, { ...STEP_RETRY, attempts: RELEASE_ATTEMPTS }, async () => {
      const claim = await ports.ledger.commitClaim(key);
      if (claim?.epoch !== run.epoch || !this.#ended.has(claim.attemptNumber)) return;
      await ports.ledger.releaseCommit(key, claim.writerId);
    });
  }
}

function retryEvent(error: MillraceError, delay: number): RunEvent & { readonly type: "retry" } {
  const cause = causeOf(error)?.split("\n")[0];
  return {
    type: "retry",
    delay: Math.round(delay),
    error: error.toRecord(),
    ...optional("cause", cause),
    ...optional("found", error.found),
  };
}
