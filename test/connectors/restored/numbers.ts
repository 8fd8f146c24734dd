import { randomUUID } from "node:crypto";
import { copyFileSync, cpSync } from "node:fs";
import { join } from "node:path";
import { DataSource } from "../../../shared/contract/data-source.ts";
import { pipeline as newPipeline, type Pipeline } from "../../../shared/contract/pipeline.ts";
import { DataSourceStreamReader, type Row } from "../../../shared/contract/stream-reader.ts";
import type { Ledger } from "../../../shared/engine/ports/ledger.ts";
import { rewind } from "../../../shared/engine/rewind.ts";
import { DirectoryStore } from "../../../shared/platform/embedded/directory-store.ts";
import { SqliteLedger } from "../../../shared/platform/embedded/sqlite-ledger.ts";
import { EngineWorld, type Run } from "../../support/engine.ts";
import { temporaryFolder } from "../../support/folder.ts";

/** One owner runs all batches, so no run has to wait for the lease of another one. */
const OWNER = { id: "ann", description: "ann" };

/** The sink's table, which a test can put back to an earlier state. */
export interface Target {
  /** The data source and the options of the sink. */
  readonly sink: { readonly dataSource: new (...args: never[]) => DataSource; readonly options: object };
  /** The environment variables of the sink. */
  readonly env: Readonly<Record<string, string>>;
  /** Returns the ids of the rows, sorted. */
  ids(): Promise<readonly number[]>;
  /** Copies the table with its records of batches. Returns a function that puts the copy back. */
  backUp(): Promise<() => Promise<void>>;
}

/** The home of a pipeline: a ledger and a store. */
export interface Home {
  readonly ledger: Ledger;
  readonly store: DirectoryStore;
  /** Returns a copy of the home as it is now: a backup, or the home on another machine. */
  copy(): Promise<Home>;
}

/** A home with a ledger in SQLite. */
export class LocalHome implements Home {
  readonly #folder: string;
  readonly ledger: SqliteLedger;
  readonly store: DirectoryStore;

  constructor(folder = temporaryFolder()) {
    this.#folder = folder;
    this.ledger = new SqliteLedger(join(folder, "ledger.sqlite"));
    this.store = new DirectoryStore(join(folder, "store"));
  }

  async copy(): Promise<Home> {
    const folder = temporaryFolder();
    cpSync(this.#folder, folder, { recursive: true });
    return new LocalHome(folder);
  }

  /**
   * Returns a copy without the ledger's WAL, which has what was written since the last checkpoint.
   */
  copyWithoutWal(): Home {
    const folder = temporaryFolder();
    copyFileSync(join(this.#folder, "ledger.sqlite"), join(folder, "ledger.sqlite"));
    return new LocalHome(folder);
  }

  /** Closes and opens the ledger, so that its WAL is empty. */
  reopened(): LocalHome {
    this.ledger.close();
    return new LocalHome(this.#folder);
  }
}

/**
 * A source of the numbers 0 to `available`, all that are new in one batch, and a pipeline from it
 * to a target. Two homes can run it.
 */
export class Numbers {
  available = 0;
  /** The ends that the source was told it may forget. */
  readonly acknowledged: number[] = [];
  readonly #definition: Pipeline;
  readonly #env: Readonly<Record<string, string>>;

  constructor({ sink, env }: Pick<Target, "sink" | "env">, rowOf: (n: number) => Row = numbered) {
    this.#env = env;
    const numbers = this;
    class Reader extends DataSourceStreamReader<{ n: number }, { from: number; to: number }> {
      override initialOffset() {
        return { n: 0 };
      }
      override latestOffset() {
        return { n: numbers.available };
      }
      override partitions({ n: from }: { n: number }, { n: to }: { n: number }) {
        return [{ from, to }];
      }
      override *read({ from, to }: { from: number; to: number }) {
        for (let n = from; n < to; n++) yield rowOf(n);
      }
      override commit({ n }: { n: number }) {
        numbers.acknowledged.push(n);
      }
    }
    class Source extends DataSource {
      override schema() {
        return "id bigint NOT NULL, word string";
      }
      override streamReader() {
        return new Reader();
      }
    }
    this.#definition = newPipeline("numbers")
      .readStream.format(Source)
      .writeStream.format(sink.dataSource as never)
      .options(sink.options as never) as unknown as Pipeline;
  }

  async run({ ledger, store }: Home): Promise<Run> {
    const world = new EngineWorld();
    const { runtime } = world.ports();
    return await world.run(this.#definition, OWNER.id, {
      ledger,
      store,
      runtime: { ...runtime, newId: randomUUID, env: this.#env },
    });
  }

  /** Makes rows available up to `to` and runs a batch of them. */
  async batch(home: Home, to: number): Promise<void> {
    this.available = to;
    const run = await this.run(home);
    const ended = await run.batch();
    if (ended?.failure !== undefined) throw ended.failure;
  }

  /** Plans and writes the next batch, without its commit. */
  async staged(home: Home, to: number): Promise<{ run: Run; planned: Awaited<ReturnType<Run["plan"]>> }> {
    this.available = to;
    const run = await this.run(home);
    const planned = await run.plan();
    await run.write(planned, 0);
    return { run, planned };
  }

  async rewind(home: Home, to: number): Promise<void> {
    const run = await this.run(home);
    const from = (await home.ledger.head("numbers"))?.offset;
    if (from === undefined) throw new Error("there is no offset");
    await rewind(run.ports, {
      pipeline: "numbers",
      rewind: { from, to: { n: to }, by: "ann", at: 0 },
      owner: OWNER,
      hasEnded: async () => true,
    });
  }
}

export function numbered(n: number): Row {
  return { id: n, word: `word ${n}` };
}
