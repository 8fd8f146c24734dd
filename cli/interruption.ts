import { runtime } from "../local/home.ts";
import { EXIT } from "./exit-codes.ts";

const SAME_PRESS_MILLISECONDS = 50;

/** The first SIGINT or SIGTERM asks to stop, the second one ends the process at once. */
export class Interruption {
  readonly #controller = new AbortController();
  readonly #message: string;
  exitCode: number | undefined;
  #askedAt = 0;

  /** `message` says what the first signal does. */
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
    const now = runtime.now();
    if (this.exitCode !== undefined) {
      // Ctrl-C reaches the whole group of processes, and npm hands it on: one press may come twice.
      if (now - this.#askedAt > SAME_PRESS_MILLISECONDS) process.exit(code);
      return;
    }
    this.#askedAt = now;
    this.exitCode = code;
    process.stderr.write(`\n${this.#message}\n`);
    this.#controller.abort();
  };

  end(): void {
    process.off("SIGINT", this.#onSignal);
    process.off("SIGTERM", this.#onSignal);
  }
}
