import { Memory, type MemoryOptions } from "../../shared/connectors/memory/index.ts";
import type { DataSourceReader } from "../../shared/contract/batch-reader.ts";
import type { Pipeline } from "../../shared/contract/pipeline.ts";
import type { DataSourceStreamReader, Row } from "../../shared/contract/stream-reader.ts";
import type { Ledger } from "../../shared/engine/ports/ledger.ts";
import { SqliteLedger } from "../../shared/platform/embedded/sqlite-ledger.ts";
import { type PipelineRun, runPipeline } from "../../shared/testing/run-pipeline.ts";
import { Surroundings } from "../../shared/testing/surroundings.ts";
import type { Kill } from "./steps.ts";

class ConnectionLost extends Error {}

/** Streams of which the first task that reads a row fails after it. */
const failing = new Set<string>();

/** Says that the next task that reads a row of the stream fails. */
export function failOnce(stream: string): void {
  failing.add(stream);
}

function* readOnce(stream: string, rows: Iterable<Row>): Generator<Row> {
  for (const row of rows) {
    yield row;
    if (failing.delete(stream)) throw new ConnectionLost("the connection is lost");
  }
}

/** Rows in memory, of which a task may fail once. */
export class Source extends Memory {
  static override readonly name = "memory-source";

  override reader(schema: never): DataSourceReader<unknown> {
    return this.#failing(super.reader(schema));
  }

  override streamReader(schema: never): DataSourceStreamReader<object, unknown> {
    return this.#failing(super.streamReader(schema));
  }

  #failing<R extends { read(partition: never, task: never): unknown }>(reader: R): R {
    const { stream = "" } = this.options as MemoryOptions;
    const read = reader.read.bind(reader);
    Object.defineProperty(reader, "read", {
      value: (partition: never, task: never) => readOnce(stream, read(partition, task) as Iterable<Row>),
    });
    return reader;
  }
}

class Killed extends Error {}

/** Returns the ledger of a process that dies at a call. */
function dying(ledger: Ledger, { call, when }: Kill, died: () => void): Ledger {
  let calls = 0;
  let isDead = false;
  const die = () => {
    isDead = true;
    died();
    return new Killed("killed");
  };
  return new Proxy(ledger, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property);
      if (typeof value !== "function") return value;
      return async (...args: unknown[]): Promise<unknown> => {
        if (isDead) throw new Killed("killed");
        const isLast = calls++ === call;
        if (isLast && when === "before") throw die();
        const result: unknown = await (value as (...a: unknown[]) => unknown).apply(target, args);
        if (isLast) throw die();
        return result;
      };
    },
  });
}

/** A ledger takes long to open, so pipelines share it, and only few so that it stays small. */
const PIPELINES_OF_LEDGER = 300;
let shared = new SqliteLedger(":memory:");
let pipelines = 0;

function sharedLedger(): SqliteLedger {
  if (++pipelines % PIPELINES_OF_LEDGER === 0) shared = new SqliteLedger(":memory:");
  return shared;
}

/** The ledger and the surroundings of one pipeline, in which runs follow each other. */
export class Runs {
  readonly #ledger = sharedLedger();
  readonly #surroundings: Surroundings;

  constructor(env: Readonly<Record<string, string>> = {}) {
    this.#surroundings = new Surroundings({ now: "2026-01-01T00:00:00Z", env });
  }

  /** Runs a batch pipeline. If the run is killed before its batch is over, it runs again. */
  async run(pipeline: Pipeline, kill?: Kill): Promise<void> {
    const isKilled = kill !== undefined && (await this.#killed(pipeline, kill));
    if (kill !== undefined && !isKilled) return;
    if (isKilled && (await this.#isOver(pipeline.name))) return;
    await this.#once(pipeline, this.#ledger);
  }

  /** Runs a stream until all rows are read. It runs once more in any case. */
  async runStream(pipeline: Pipeline, kill?: Kill): Promise<void> {
    if (kill !== undefined) await this.#killed(pipeline, kill);
    await this.#once(pipeline, this.#ledger);
  }

  /** Runs the pipeline until it is killed. Returns false if it has ended before. */
  async #killed(pipeline: Pipeline, kill: Kill): Promise<boolean> {
    let isKilled = false;
    const ledger = dying(this.#ledger, kill, () => {
      isKilled = true;
    });
    try {
      await this.#once(pipeline, ledger);
    } catch (error) {
      if (!isKilled) throw error;
    }
    return isKilled;
  }

  async #once(pipeline: Pipeline, ledger: Ledger): Promise<void> {
    try {
      await this.#attempt(pipeline, ledger);
    } catch (error) {
      // Planning also reads rows, to leave out files of the table. It is not tried twice.
      if (!isConnectionLost(error)) throw error;
      await this.#attempt(pipeline, ledger);
    }
  }

  async #attempt(pipeline: Pipeline, ledger: Ledger): Promise<void> {
    const state = { ledger, surroundings: this.#surroundings };
    await runPipeline(pipeline, { after: { state } as unknown as PipelineRun, maxAttempts: 2 });
  }

  async #isOver(pipeline: string): Promise<boolean> {
    const head = await this.#ledger.head(pipeline);
    const isOpen = head?.openBatchId !== undefined || head?.unacknowledged !== undefined;
    return !isOpen && head?.lastCommittedBatchId !== undefined;
  }
}

function isConnectionLost(error: unknown): boolean {
  for (let each = error; each instanceof Error; each = each.cause)
    if (each instanceof ConnectionLost) return true;
  return false;
}
