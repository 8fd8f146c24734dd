import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { HOME, LIBRARIES, LOG, PYTHON } from "./paths.ts";
import { exitCode, family, residentBytes, signalProcess } from "./processes.ts";

/** Starts LocalStack, measures its memory, and ends it with all its children. */

export const ENDPOINT = "http://127.0.0.1:4566";
const START_TIMEOUT = 60_000;
const SAMPLE_EVERY = 250;

export class LocalStack {
  readonly #child: ChildProcess;
  readonly #root: string;
  readonly #ended: Promise<number>;
  #hasEnded = false;
  #peak = 0;

  constructor() {
    this.#root = makeRoot();
    const log = openSync(LOG, "w");
    this.#child = spawn(PYTHON, ["-m", "localstack.runtime.main"], {
      env: { ...process.env, ...settings(this.#root) },
      stdio: ["ignore", log, log],
    });
    this.#ended = exitCode(this.#child).finally(() => {
      this.#hasEnded = true;
    });
    void this.#sample();
  }

  /**
   * Returns the peak memory of LocalStack, DynamoDB Local and the Lambda functions together, in
   * bytes.
   */
  get peak(): number {
    return this.#peak;
  }

  async ready(signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + START_TIMEOUT;
    while (!(await isHealthy())) {
      signal.throwIfAborted();
      if (this.#hasEnded || performance.now() > deadline) {
        const tail = readFileSync(LOG, "utf8").split("\n").slice(-30).join("\n");
        const what = this.#hasEnded ? "ended while it started" : "was not healthy in time";
        throw new Error(`LocalStack ${what}; the end of ${LOG}:\n${tail}`);
      }
      await setTimeout(50);
    }
  }

  /**
   * Kills LocalStack and its children. An orderly end would take seconds to clean up files that are
   * deleted here anyway.
   */
  async stop(): Promise<void> {
    const { pid } = this.#child;
    if (pid !== undefined) for (const member of family(pid)) signalProcess(member, "SIGKILL");
    await this.#ended;
    rmSync(this.#root, { recursive: true, force: true });
  }

  async #sample(): Promise<void> {
    while (!this.#hasEnded && this.#child.pid !== undefined) {
      this.#peak = Math.max(this.#peak, residentBytes(family(this.#child.pid)));
      await setTimeout(SAMPLE_EVERY, undefined, { ref: false });
    }
  }
}

/**
 * Creates a folder for all files of one LocalStack: its state, the code of functions, and temporary
 * files.
 */
function makeRoot(): string {
  const root = mkdtempSync(join(HOME, "run-"));
  mkdirSync(join(root, "tmp"));
  mkdirSync(join(root, "var/lib/localstack"), { recursive: true });
  symlinkSync(LIBRARIES, join(root, "var/lib/localstack/lib"));
  // Without this file, Node would use the project's package.json for the functions and would treat
  // CommonJS as ES modules.
  writeFileSync(join(root, "package.json"), "{}\n");
  return root;
}

function settings(root: string): Record<string, string> {
  return {
    // In an environment that looks like a container, LocalStack would ignore FILESYSTEM_ROOT and
    // write to folders of the machine.
    OVERRIDE_IN_DOCKER: "0",
    FILESYSTEM_ROOT: root,
    TMPDIR: join(root, "tmp"),
    GATEWAY_LISTEN: "127.0.0.1:4566",
    LOCALSTACK_HOST: "127.0.0.1:4566",
    // LocalStack starts Kinesis as a Node program by the name `node`, which must be found on the
    // PATH.
    PATH: [dirname(process.execPath), process.env["PATH"]].join(delimiter),
    // Streams are created and split almost at once, and the URLs of queues need no DNS.
    KINESIS_LATENCY: "50",
    SQS_ENDPOINT_STRATEGY: "path",
    DYNAMODB_IN_MEMORY: "1",
    LAMBDA_RUNTIME_EXECUTOR: "local-process",
    LOCAL_PROCESS_NODE: process.execPath,
    LAMBDA_SYNCHRONOUS_CREATE: "1",
    LAMBDA_KEEPALIVE_MS: "20000",
    // These features need the internet, which the namespace does not have: analytics, the download
    // of a certificate, and DNS.
    DISABLE_EVENTS: "1",
    SKIP_SSL_CERT_DOWNLOAD: "1",
    DNS_ADDRESS: "0",
  };
}

async function isHealthy(): Promise<boolean> {
  try {
    return (await fetch(`${ENDPOINT}/_localstack/health`)).ok;
  } catch {
    return false;
  }
}
