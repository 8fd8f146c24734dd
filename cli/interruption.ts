import { runtime } from "../local/home.ts";
import { EXIT } from "./exit-codes.ts";
import { processGuard } from "./process-guard.ts";
import { tellLine } from "./render/terminal.ts";

const SAME_PRESS_MILLISECONDS = 50;

/** The first SIGINT or SIGTERM requests a stop; the second one ends the process immediately. */
export class Interruption {
  readonly #controller = new AbortController();
  readonly #message: string;
  exitCode: number | undefined;
  #askedAt = 0;

  /** `message` is printed after the first signal. */
  constructor(message: string) {
    this.#message = message;
    process.on("SIGINT", this.#onSignal);
    process.on("SIGTERM", this.#onSignal);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    const code = signal === "SIGINT" ? EXIT.interrupted : EXIT.terminated;
    const now = runtime.monotonic();
    if (this.exitCode !== undefined) {
      // Ctrl-C signals the whole process group, and npm forwards it, so one press may arrive twice.
      if (now - this.#askedAt > SAME_PRESS_MILLISECONDS) processGuard.leave(code);
      return;
    }
    this.#askedAt = now;
    this.exitCode = code;
    tellLine(`\n${this.#message}`);
    this.#controller.abort();
  };

  end(): void {
    process.off("SIGINT", this.#onSignal);
    process.off("SIGTERM", this.#onSignal);
  }
}
