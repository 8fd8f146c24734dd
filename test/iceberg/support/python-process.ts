import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** Longest error output of a process that is kept for messages. */
const KEPT_CHARACTERS = 20_000;

/**
 * A Python process that answers requests one after another, one JSON object per line. It ends with
 * the process that started it.
 */
export class PythonProcess {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  #last: Promise<unknown> = Promise.resolve();
  #errors = "";

  /** Starts a script that answers requests by test/iceberg/support/python/lines.py. */
  constructor(python: string, script: URL, args: readonly string[] = []) {
    this.#child = spawn(python, ["-u", fileURLToPath(script), ...args], { stdio: ["pipe", "pipe", "pipe"] });
    this.#child.stdin?.on("error", () => undefined); // The missing answer tells it.
    this.#child.stderr?.on("data", (chunk: Buffer) => {
      this.#errors = (this.#errors + chunk.toString()).slice(-KEPT_CHARACTERS);
    });
    if (this.#child.stdout === null) throw new Error("the Python process has no output");
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Sends a request and returns its answer. Throws the error that the operation raised. */
  ask<T>(request: { readonly do: string } & Readonly<Record<string, unknown>>): Promise<T> {
    const answer = this.#last.then(() => this.#answer<T>(request));
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  async #answer<T>(request: { readonly do: string }): Promise<T> {
    this.#child.stdin?.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`Python ended during "${request.do}": ${this.#errors}`);
    const answer = JSON.parse(value as string) as { value?: T; error?: string };
    if (answer.error !== undefined) throw new Error(`"${request.do}" failed: ${answer.error}`);
    return answer.value as T;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.stdin?.end();
    await ended;
  }
}
