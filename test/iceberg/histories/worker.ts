import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { JsonValue } from "../../../shared/contract/json.ts";
import type { WorkerAnswer, WorkerRequest } from "./child.ts";

const CHILD = fileURLToPath(new URL("child.ts", import.meta.url));

/** The outcome of a request to the writing process. */
export type Outcome =
  | { readonly kind: "done"; readonly value: JsonValue; readonly calls: number }
  | { readonly kind: "killed" }
  | { readonly kind: "failed"; readonly code: string; readonly error: string };

interface Child {
  readonly process: ChildProcess;
  readonly ready: Promise<unknown>;
}

/** The writing process of a history. When it is killed, a spare one takes its place. */
export class Worker {
  #current: Child = start();
  #spare: Child = start();

  async ask(request: WorkerRequest): Promise<Outcome> {
    const { process: child, ready } = this.#current;
    await ready;
    const answered = new Promise<Outcome>((resolve) => {
      const onMessage = (answer: WorkerAnswer) => {
        child.off("exit", onExit);
        resolve("error" in answer ? { kind: "failed", ...answer } : { kind: "done", ...answer });
      };
      const onExit = (_code: number | null, signal: string | null) => {
        child.off("message", onMessage);
        resolve(
          signal === "SIGKILL"
            ? { kind: "killed" }
            : { kind: "failed", code: "", error: "the writing process ended" },
        );
      };
      child.once("message", onMessage);
      child.once("exit", onExit);
    });
    child.send(request);
    const outcome = await answered;
    if (outcome.kind === "killed") {
      this.#current = this.#spare;
      this.#spare = start();
    }
    return outcome;
  }

  async stop(): Promise<void> {
    await Promise.all(
      [this.#current, this.#spare].map(async ({ process: child, ready }) => {
        await ready;
        const ended = once(child, "exit");
        child.disconnect();
        await ended;
      }),
    );
  }
}

function start(): Child {
  const child = fork(CHILD, { stdio: ["ignore", "inherit", "inherit", "ipc"], serialization: "json" });
  return { process: child, ready: once(child, "message") };
}
