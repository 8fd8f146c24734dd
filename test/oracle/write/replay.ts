import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Home } from "../../../local/home.ts";
import type { RunOptions } from "../../../local/run-options.ts";
import { run as runLocally } from "../../../local/runner.ts";
import type { SpeculationPolicy } from "../../../local/speculation.ts";

import { causeOf, MillraceError } from "../../../shared/contract/errors.ts";
import { truncateTable } from "../../../shared/contract/write/delete.ts";
import type { Ports } from "../../../shared/engine/ports/runtime.ts";
import type { SqliteLedger } from "../../../shared/platform/embedded/sqlite-ledger.ts";
import type { Call } from "../trace.ts";
import { replayed } from "./faults.ts";
import { callingAs } from "./log.ts";
import type {
  BatchWriteOp,
  CallingOp,
  CommandOp,
  SessionOp,
  Speculation,
  StreamOp,
  TruncateTableOp,
} from "./op.ts";
import { deletable } from "./rec-delete.ts";
import { RecSettings } from "./rec-settings.ts";
import { pipelineOf, Tables } from "./statements.ts";
import { TasksHere } from "./tasks-here.ts";
import { faultsIn, type Run, type Step } from "./trace.ts";

const PIPELINE = "recorded";

/** Nothing in a recording depends on how long the engine waits, for example before a retry. */
const SHORTER_WAITS = 10;

/** A home whose waits are short. */
class FastHome extends Home {
  override ports(pipeline: string, ledger: SqliteLedger): Ports {
    const ports = super.ports(pipeline, ledger);
    const { runtime } = ports;
    const sleep: typeof runtime.sleep = (milliseconds, signal) =>
      runtime.sleep(milliseconds / SHORTER_WAITS, signal);
    return { ...ports, runtime: { ...runtime, sleep } };
  }
}

function faster(speculation: Speculation): SpeculationPolicy {
  const { intervalMs, minRuntimeMs } = speculation;
  return { ...speculation, intervalMs: replayed(intervalMs), minRuntimeMs: replayed(minRuntimeMs) };
}

/** Reads the metrics of the newest batch, which people see in its status. */
async function readMetrics(home: FastHome, run: Run): Promise<void> {
  const ledger = await home.openLedger({ create: true });
  try {
    const [newest] = await ledger.batches(PIPELINE, { limit: 1 });
    if (newest?.progress?.metrics !== undefined) run.metrics = newest.progress.metrics;
  } finally {
    ledger.close();
  }
}

/** Runs the statements of a scenario with the engine. */
export class Replay {
  readonly #folder = mkdtempSync(join(tmpdir(), "millrace-oracle-"));
  readonly #tables = new Tables();
  #session: SessionOp = { kind: "session", parallel: 1, attempts: 1, speculation: null };
  #homes = 0;
  /** The home of the stream that runs last. */
  #streamHome: string | undefined;
  #background: { readonly done: Promise<void>; readonly stopping: AbortController } | undefined;

  /** Takes a step, and returns it as the engine did it. */
  async take(step: Step): Promise<Step> {
    switch (step.kind) {
      case "session":
        this.#session = step.op;
        return step;
      case "given":
        this.#tables.give(step.op, step.files);
        return step;
      case "rows":
        return { ...step, files: this.#tables.filesOf(step.table) };
      case "run":
        return await this.#run(step.op as CallingOp | { readonly kind: "stop" });
    }
  }

  /** Does what a statement did that is left out. */
  drop(table: string): void {
    this.#tables.drop(table);
  }

  async end(): Promise<void> {
    await this.#stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #run(op: CallingOp | { readonly kind: "stop" }): Promise<Run> {
    const run: Run = { kind: "run", op, driver: [], attempts: [], end: undefined };
    const body = () => this.#body(op, run);
    try {
      await callingAs({ calls: run.driver as Call[] }, body);
      run.end = { failed: false, faults: [], text: "" };
    } catch (error) {
      const others = MillraceError.is(error) ? error.also : [];
      const text = [error as Error, ...others]
        .map((one) => `${String(one)}\n${causeOf(one) ?? ""}`)
        .join("\n");
      run.end = { failed: true, faults: faultsIn(text), text };
    }
    return run;
  }

  async #body(op: CallingOp | { readonly kind: "stop" }, run: Run): Promise<void> {
    switch (op.kind) {
      case "stop":
        return await this.#stop();
      case "truncateTable":
        return await this.#truncate(op, run);
      case "stream":
        return await this.#stream(op, run);
      case "delete":
      case "update":
      case "merge":
      case "batchWrite":
        return await this.#execute(op, run, this.#newHome(), new AbortController().signal);
    }
  }

  async #stream(op: StreamOp, run: Run): Promise<void> {
    if (op.checkpoint === "new" || this.#streamHome === undefined) this.#streamHome = this.#newHome();
    const stopping = new AbortController();
    const done = this.#execute(op, run, this.#streamHome, stopping.signal);
    if (op.wait === "end") return await done;
    this.#background = { done: done.catch(() => undefined), stopping };
    await new Promise((resolve) =>
      setTimeout(resolve, replayed((op.wait as { seconds: number }).seconds * 1000)),
    );
  }

  async #stop(): Promise<void> {
    this.#background?.stopping.abort();
    await this.#background?.done;
    this.#background = undefined;
  }

  async #truncate(op: TruncateTableOp, run: Run): Promise<void> {
    const { state, properties } = this.#tables.find(op.table, op.catalog, "");
    const table = deletable(new RecSettings(state, properties, {}));
    const { metrics } = await truncateTable(table);
    run.metrics = metrics;
  }

  async #execute(
    op: BatchWriteOp | StreamOp | CommandOp,
    run: Run,
    folder: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { parallel, attempts, speculation } = this.#session;
    const home = new FastHome(folder);
    const pipeline = pipelineOf(this.#tables, op, PIPELINE);
    const options: RunOptions = {
      pipeline,
      entry: fileURLToPath(new URL("../job.pipeline.ts", import.meta.url)),
      home,
      trigger: op.kind === "stream" ? { availableNow: true } : { once: true },
      maxConcurrency: parallel,
      maxAttempts: attempts,
      ...(speculation === null ? {} : { speculation: faster(speculation) }),
      signal,
      onEvent: () => undefined,
    };
    try {
      await runLocally(options, (_, setup) => new TasksHere(setup, pipeline, run));
    } finally {
      await readMetrics(home, run);
    }
  }

  #newHome(): string {
    return join(this.#folder, `home-${this.#homes++}`);
  }
}
