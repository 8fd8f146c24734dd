import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { Home, runtime } from "../../local/home.ts";
import { loadPipeline } from "../../local/load-pipeline.ts";
import { run } from "../../local/runner.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import { checkTrigger, type Trigger } from "../../shared/contract/pipeline.ts";
import { EXIT } from "../exit-codes.ts";
import { JsonView, TextView } from "../render/run-view.ts";

export interface RunFlags {
  readonly home: string;
  readonly once?: boolean;
  readonly availableNow?: boolean;
  readonly every?: string;
  readonly maxConcurrency?: number;
  readonly maxAttempts: number;
  readonly json?: boolean;
}

/** `millrace run`: gives the exit code. */
export async function runCommand(entry: string, flags: RunFlags): Promise<number> {
  const asked = triggerOf(flags);
  const interruption = new Interruption();
  const stdout = new OwnStdout();
  try {
    const pipeline = await loadPipeline(entry);
    const view = flags.json ? new JsonView(stdout.print) : new TextView(stdout.print, runtime.now);
    await run({
      pipeline,
      entry: resolve(entry),
      home: new Home(flags.home),
      trigger: asked ?? pipeline.triggered ?? { availableNow: true },
      maxConcurrency: flags.maxConcurrency ?? availableParallelism(),
      maxAttempts: flags.maxAttempts,
      signal: interruption.signal,
      onEvent: (event) => view.show(event),
    });
    return interruption.exitCode ?? EXIT.ok;
  } finally {
    interruption.end();
    stdout.giveBack();
  }
}

/** Keeps stdout for the run: what the user's code prints goes to stderr. */
class OwnStdout {
  readonly #write = process.stdout.write;

  constructor() {
    process.stdout.write = process.stderr.write.bind(process.stderr) as typeof process.stdout.write;
  }

  readonly print = (text: string): void => {
    this.#write.call(process.stdout, text);
  };

  giveBack(): void {
    process.stdout.write = this.#write;
  }
}

function triggerOf(flags: RunFlags): Trigger | undefined {
  const asked: Trigger[] = [];
  if (flags.once) asked.push({ once: true });
  if (flags.availableNow) asked.push({ availableNow: true });
  if (flags.every !== undefined) asked.push(checkTrigger({ processingTime: flags.every }));
  if (asked.length <= 1) return asked[0];
  throw new MillraceError("USAGE", "--once, --available-now and --every exclude each other", {
    hint: "Give one of them.",
  });
}

const SAME_PRESS_MILLISECONDS = 50;

/** The first SIGINT or SIGTERM asks the run to stop, the second one ends the process at once. Both leave what the next run resumes. */
class Interruption {
  readonly #controller = new AbortController();
  exitCode: number | undefined;
  #askedAt = 0;

  constructor() {
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
    process.stderr.write("\nstopping: tasks are told to end; once more to leave at once\n");
    this.#controller.abort();
  };

  end(): void {
    process.off("SIGINT", this.#onSignal);
    process.off("SIGTERM", this.#onSignal);
  }
}
