import { syncBuiltinESMExports } from "node:module";
import { onAbort } from "../shared/contract/abort.ts";
import type { MillraceError } from "../shared/contract/errors.ts";
import { endedEarly, forbidExit, watchUncaught } from "../shared/engine/run/process-guard.ts";
import { EXIT } from "./exit-codes.ts";

/** How long a command may take to end by itself after the user's code has failed it. */
const GRACE_MILLISECONDS = 10_000;

/**
 * Keeps the user's code from ending the process, and notices its forgotten rejections and errors.
 * The first one aborts `signal`, with the error as its reason.
 */
class ProcessGuard {
  readonly #crash = new AbortController();
  readonly #exit = process.exit.bind(process);
  #restore: (() => void) | undefined;

  /** Aborts when the command must fail because of what the user's code did outside of any call. */
  get signal(): AbortSignal {
    return this.#crash.signal;
  }

  /**
   * Runs a command to its end. Rejects with the error of the user's code if there was one.
   * `onEarlyEnd` is called if the process ends before the command, and must not wait.
   */
  async guard(command: () => Promise<unknown>, onEarlyEnd: (error: MillraceError) => void): Promise<void> {
    const restoreExit = forbidExit(process, syncBuiltinESMExports);
    // It stays until the process ends: a late rejection must not change the exit code.
    watchUncaught(process, (error) => this.#crash.abort(error));
    const onExit = () => {
      process.exitCode = EXIT.failed;
      onEarlyEnd((this.signal.reason as MillraceError | undefined) ?? endedEarly());
    };
    process.on("exit", onExit);
    this.#restore = () => {
      process.off("exit", onExit);
      restoreExit();
    };
    try {
      await Promise.race([command(), this.#afterGrace()]);
    } finally {
      this.#restore();
    }
    this.signal.throwIfAborted();
  }

  /** Ends the process at once. */
  leave(code: number): never {
    this.#restore?.();
    return this.#exit(code);
  }

  #afterGrace(): Promise<never> {
    return new Promise((_, reject) => {
      const wait = () => setTimeout(() => reject(this.signal.reason), GRACE_MILLISECONDS);
      onAbort(this.signal, wait);
    });
  }
}

export const processGuard = new ProcessGuard();
