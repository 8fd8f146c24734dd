import { decodeSchema } from "../shared/arrow/ipc-file.ts";
import { asBackfill } from "../shared/contract/backfill-pipeline.ts";
import type { Pipeline } from "../shared/contract/pipeline.ts";
import type { Ports } from "../shared/engine/ports/runtime.ts";
import { openSessions, type Sessions } from "../shared/engine/sessions/open-sessions.ts";
import { write } from "../shared/engine/write/task.ts";
import type { TaskResult, WriteRequest } from "../shared/engine/write/task-request.ts";
import { stallPolicyOf } from "../shared/engine/write/watch.ts";
import type { SqliteLedger } from "../shared/platform/embedded/sqlite-ledger.ts";
import { Home } from "./home.ts";
import type { TaskListener } from "./task-pool.ts";
import type { WorkerSetup } from "./wire.ts";

interface Opened {
  readonly sessions: Sessions;
  readonly ports: Ports;
  readonly ledger: SqliteLedger;
}

/**
 * The writer tasks of one thread. They share an instance of the source, one of the sink, and a
 * connection to the ledger, which the first task opens.
 */
export class ThreadTasks {
  readonly #setup: WorkerSetup;
  readonly #load: () => Promise<Pipeline>;
  #opened: Promise<Opened> | undefined;

  constructor(setup: WorkerSetup, load: () => Promise<Pipeline>) {
    this.#setup = setup;
    this.#load = load;
  }

  async run(request: WriteRequest, { signal, onProgress, onStalled }: TaskListener): Promise<TaskResult> {
    this.#opened ??= this.#open();
    const { sessions, ports } = await this.#opened;
    const stall = stallPolicyOf(sessions.pipeline, this.#setup.stall);
    // A slow source may need long to fill a record batch: `onRunning` counts its rows one by one.
    const onRunning = ({ rows, bytes }: { rows: number; bytes: number }) => onProgress({ rows, bytes });
    return await write(sessions, ports, request, {
      signal,
      watch: { stall, onRunning, onStalled },
      onProgress,
    });
  }

  /** Closes the connection to the ledger. A thread that ends needs no call. */
  async close(): Promise<void> {
    (await this.#opened?.catch(() => undefined))?.ledger.close();
  }

  async #open(): Promise<Opened> {
    const { home: folder, pipeline: name, schema } = this.#setup;
    const home = new Home(folder);
    const ledger = await home.openLedger({ create: false });
    try {
      const ports = home.ports(name, ledger);
      const loaded = await this.#load();
      // The tasks of a backfill only read partitions that are planned.
      const pipeline = loaded.name === name ? loaded : asBackfill(loaded, name);
      const sessions = await openSessions(pipeline, ports, { schema: decodeSchema(schema) });
      return { sessions, ports, ledger };
    } catch (error) {
      // The next task of this thread tries again.
      this.#opened = undefined;
      ledger.close();
      throw error;
    }
  }
}
