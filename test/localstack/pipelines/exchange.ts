import { DataSource, type NamedRow, pipeline, type Runtime, type TaskContext } from "millrace";
import {
  asc,
  type Distribution,
  Distributions,
  desc,
  type RequiresDistributionAndOrdering,
  type SortOrder,
  type SupportsWrite,
  Write,
} from "millrace/write";
import type { Slice } from "../control.ts";
import { ask, Numbers, name, placeOf } from "./numbers.ts";
import { type RowsFactory, RowsStreamingWrite } from "./rows-table.ts";

/**
 * The numbers of numbers.ts, each of one of five kinds, into the table of rows-table.ts, whose
 * write requires that a kind is in one task, and that each task is sorted.
 */

const KINDS = 5;
/** Rows of a partition of at least so many are wide, so that they exceed the memory of a task. */
const MANY = 1000;
const WIDE = "x".repeat(64 * 1024);

class Kinds extends Numbers {
  override schema(): string {
    return "n bigint NOT NULL, kind string";
  }

  override streamReader(): ReturnType<Numbers["streamReader"]> {
    const reader = super.streamReader();
    const { runtime } = this;
    const { read } = reader;
    reader.read = async function* (slice: Slice, task: TaskContext) {
      const pad = slice.to - slice.from < MANY ? "" : WIDE;
      for await (const row of read.call(reader, slice, task)) {
        const n = Number((row as NamedRow)["n"]);
        yield { n, kind: `kind ${n % KINDS}${pad}` };
      }
      await ask(runtime, { call: "read all", ...slice, ...placeOf(task) });
    };
    return reader;
  }
}

class KindsStreamingWrite extends RowsStreamingWrite {
  readonly #runtime: Runtime;

  constructor(runtime: Runtime) {
    super(runtime);
    this.#runtime = runtime;
  }

  override async createStreamingWriterFactory(): Promise<RowsFactory> {
    await ask(this.#runtime, { call: "factory" });
    return await super.createStreamingWriterFactory();
  }
}

class KindsWrite extends Write implements RequiresDistributionAndOrdering {
  readonly #runtime: Runtime;
  readonly #tasks: number;

  constructor(runtime: Runtime, tasks: number) {
    super();
    this.#runtime = runtime;
    this.#tasks = tasks;
  }

  requiredDistribution(): Distribution {
    return Distributions.clustered("kind");
  }

  requiredNumPartitions(): number {
    return this.#tasks;
  }

  requiredOrdering(): readonly SortOrder[] {
    return [asc("kind"), desc("n")];
  }

  override toStreaming(): KindsStreamingWrite {
    return new KindsStreamingWrite(this.#runtime);
  }
}

class KindsTable extends DataSource {
  override table(): SupportsWrite {
    const { runtime } = this;
    return {
      name: "kinds",
      capabilities: new Set(["STREAMING_WRITE"] as const),
      newWriteBuilder: () => ({
        build: async () => new KindsWrite(runtime, (await ask(runtime, { call: "build" })).n ?? 0),
      }),
    };
  }
}

export default pipeline(name).readStream.format(Kinds).writeStream.format(KindsTable);
