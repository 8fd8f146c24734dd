import { type ChildProcess, spawn } from "node:child_process";
import { type Home, runtime } from "../local/home.ts";
import { type ErrorRecord, MillraceError, toMillraceError } from "../shared/contract/errors.ts";
import { optional } from "../shared/contract/optional.ts";
import type { Batch } from "../shared/engine/ports/ledger.ts";
import type { RunEvent } from "../shared/engine/ports/run-events.ts";
import { EXIT, exitCodeOf } from "./exit-codes.ts";
import { publicBatch } from "./render/batch.ts";

/** The file descriptor of the run's own stderr. */
const STDERR = 2;
/** How long a command may take, and how long a webhook may take to answer. */
const COMMAND_MILLISECONDS = 60_000;
const WEBHOOK_MILLISECONDS = 10_000;

export interface FailureHooksOptions {
  readonly home: Home;
  /** A command for the shell, which gets the failure as JSON on its stdin. */
  readonly command?: string | undefined;
  /** A URL to which the failure is posted as JSON. */
  readonly url?: string | undefined;
  /** The longest time of the command, in milliseconds. Default: a minute. */
  readonly commandMilliseconds?: number;
  /** Called if a hook fails, which does not change how the run ends. */
  onWarning(error: MillraceError): void;
}

/** What a hook gets. It has no words of users: it may be sent anywhere. */
interface Failure {
  readonly type: "failure";
  /** One line that says everything, as chats want it. */
  readonly text: string;
  readonly time: string;
  readonly pipeline: string | null;
  readonly home: string;
  /** As `millrace batches --json` prints it; `null` if no batch has failed. */
  readonly batch: ReturnType<typeof publicBatch> | null;
  readonly error: ErrorRecord | null;
}

/** Tells the hooks that a batch was aborted, or that a run has failed: each failure once. */
export class FailureHooks {
  readonly #options: FailureHooksOptions;
  /** The pipeline that runs, once it is known. */
  pipeline: string | undefined;
  /** The attempts of batches that were told. */
  readonly #told = new Set<string>();
  #last: Promise<void> = Promise.resolve();

  constructor(options: FailureHooksOptions) {
    this.#options = options;
  }

  event(event: RunEvent): void {
    if (event.type === "batch" && event.state === "aborted") this.#tell(undefined, event);
    // A run that stays tries again; the failures that follow are the same outage.
    if (event.type === "waiting" && event.failures === 1)
      this.#tell(MillraceError.from(event.error), event.error.where);
  }

  /** Tells that the run has failed, unless this was told of its batch. Resolves when it is told. */
  async failed(thrown: unknown): Promise<void> {
    const error = toMillraceError(thrown, "UNEXPECTED", "the run failed", {});
    // The other run is well, and does the work.
    if (exitCodeOf(error) !== EXIT.leaseHeld) this.#tell(error, error.where);
    await this.end();
  }

  /** Resolves when everything is told. */
  async end(): Promise<void> {
    await this.#last;
  }

  #tell(
    error: MillraceError | undefined,
    { batchId, attempt }: { readonly batchId?: number; readonly attempt?: number },
  ): void {
    const { command, url } = this.#options;
    if (command === undefined && url === undefined) return;
    const key = `${batchId}/${attempt}`;
    if (batchId !== undefined && this.#told.has(key)) return;
    this.#told.add(key);
    this.#last = this.#last.then(async () => {
      const json = JSON.stringify(await this.#failure(error, batchId));
      if (command !== undefined) await this.#warnIfFailed("--on-failure", this.#runCommand(command, json));
      if (url !== undefined) await this.#warnIfFailed("--on-failure-url", post(url, json));
    });
  }

  async #failure(error: MillraceError | undefined, batchId: number | undefined): Promise<Failure> {
    const pipeline = this.pipeline ?? error?.where.pipeline;
    const batch = pipeline === undefined ? undefined : await this.#batch(pipeline, batchId);
    const record = error?.toRecord() ?? batch?.error;
    const what =
      batch === undefined ? "the run failed" : `batch ${batch.batchId}, attempt ${batch.attempt} failed`;
    const why = record === undefined ? "" : `: ${record.code}: ${record.message}`;
    return {
      type: "failure",
      text: `millrace: ${pipeline === undefined ? "" : `${pipeline}: `}${what}${why}`,
      time: new Date(runtime.now()).toISOString(),
      pipeline: pipeline ?? null,
      home: this.#options.home.root,
      batch: batch === undefined ? null : publicBatch(batch),
      error: record ?? null,
    };
  }

  /** A ledger that cannot be read, which may be why the run failed, does not keep back the news. */
  async #batch(pipeline: string, batchId: number | undefined): Promise<Batch | undefined> {
    if (batchId === undefined) return undefined;
    try {
      const ledger = await this.#options.home.openLedger({ create: false });
      try {
        return await ledger.batch(pipeline, batchId);
      } finally {
        ledger.close();
      }
    } catch {
      return undefined;
    }
  }

  async #warnIfFailed(flag: string, hook: Promise<string | undefined>): Promise<void> {
    const problem = await hook;
    if (problem === undefined) return;
    const hint = "The run ends as it would have. Try the hook by hand with the JSON of docs/alerts.md.";
    const where = optional("pipeline", this.pipeline);
    this.#options.onWarning(new MillraceError("HOOK_FAILED", `${flag}: ${problem}`, { where, hint }));
  }

  /** Runs the command, and returns what went wrong. It is killed with its children. */
  async #runCommand(command: string, json: string): Promise<string | undefined> {
    const limit = this.#options.commandMilliseconds ?? COMMAND_MILLISECONDS;
    const isGroup = process.platform !== "win32";
    const child = spawn(command, {
      shell: true,
      detached: isGroup,
      // Stdout is for the results of the run.
      stdio: ["pipe", STDERR, STDERR],
    });
    // A command need not read what it gets.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(`${json}\n`);
    return await new Promise((resolve) => {
      const timer = setTimeout(() => {
        killGroup(child, isGroup);
        resolve(`the command did not end within ${limit / 1000} s, and was killed`);
      }, limit);
      const end = (problem: string | undefined) => {
        clearTimeout(timer);
        resolve(problem);
      };
      child.once("error", (error) => end(`the command did not start: ${error.message}`));
      child.once("exit", (code, signal) =>
        end(
          code === 0 ? undefined : `the command ended with ${code === null ? signal : `exit code ${code}`}`,
        ),
      );
    });
  }
}

/** Kills the command with its children. It may just have ended, which is no error. */
function killGroup(child: ChildProcess, isGroup: boolean): void {
  try {
    if (isGroup && child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    else child.kill("SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Posts the JSON, and returns what went wrong. The URL of a webhook is a secret. */
async function post(url: string, json: string): Promise<string | undefined> {
  const { host } = new URL(url);
  try {
    const answer = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: json,
      signal: AbortSignal.timeout(WEBHOOK_MILLISECONDS),
    });
    await answer.body?.cancel();
    return answer.ok ? undefined : `${host} answered ${answer.status}`;
  } catch (error) {
    const { origin } = toMillraceError(error, "HOOK_FAILED", "", {});
    return `${host} did not answer: ${origin?.code ?? origin?.name}`;
  }
}
