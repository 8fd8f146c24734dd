import {
  type BatchContext,
  DataSource,
  DataSourceStreamReader,
  pipeline,
  type Row,
  type Runtime,
  type TaskContext,
} from "millrace";
import { ArrowTable } from "millrace/connectors/arrow-table";
import type { Answer, Call, Slice } from "../control.ts";

/**
 * A pipeline of whole numbers into an Arrow table. The control server of the test decides what
 * happens at each call of the contract.
 */

type Position = { n: number };

export const name = process.env["NUMBERS_PIPELINE"] ?? "numbers";

type Asked = Omit<Call, "pipeline" | "edition">;

export async function ask(runtime: Runtime, call: Asked): Promise<Answer> {
  const { NUMBERS_CONTROL = "", NUMBERS_EDITION: edition, NUMBERS_PASSWORD, NUMBERS_TOKEN } = runtime.env;
  const secrets = {
    ...(NUMBERS_PASSWORD === undefined ? {} : { NUMBERS_PASSWORD }),
    ...(NUMBERS_TOKEN === undefined ? {} : { NUMBERS_TOKEN }),
  };
  const body = JSON.stringify({ pipeline: name, edition, ...call, secrets });
  const response = await fetch(NUMBERS_CONTROL, { method: "POST", body });
  const answer = (await response.json()) as Answer;
  // The process ends as if it ran out of memory: none of its code runs again.
  // From outside, because a step does not let a pipeline's code end its process.
  if (answer.deed === "die")
    process.getBuiltinModule("node:child_process").execFileSync("kill", ["-9", String(process.pid)]);
  // The error contains a row and secrets, as an error of a user's code may.
  if (answer.deed === "fail") throw new Error(`row content ${call.from}, secret ${JSON.stringify(secrets)}`);
  return answer;
}

class NumbersReader extends DataSourceStreamReader<Position, Slice> {
  readonly #runtime: Runtime;
  #target = Number.POSITIVE_INFINITY;

  constructor(runtime: Runtime) {
    super();
    this.#runtime = runtime;
  }

  async prepareForTriggerAvailableNow(): Promise<void> {
    this.#target = (await ask(this.#runtime, { call: "available" })).n ?? 0;
  }

  availableNowTarget(): Position {
    return { n: this.#target };
  }

  restoreAvailableNow({ n }: Position): void {
    this.#target = n;
  }

  offsetAt(bound: string): Position {
    return { n: Number(bound) };
  }

  completeUpTo(): string {
    return "1000";
  }

  override initialOffset(): Position {
    return { n: 0 };
  }

  override async latestOffset(start: Position): Promise<Position> {
    const { n = 0 } = await ask(this.#runtime, { call: "latestOffset", from: start.n });
    return { n: Math.max(start.n, Math.min(n, this.#target)) };
  }

  override async partitions(start: Position, end: Position): Promise<readonly Slice[]> {
    return (await ask(this.#runtime, { call: "partitions", from: start.n, to: end.n })).slices ?? [];
  }

  override async *read(slice: Slice, task: TaskContext): AsyncGenerator<Row> {
    const { deed } = await ask(this.#runtime, { call: "read", ...slice, ...placeOf(task) });
    for (let n = slice.from; n < slice.to; n++) yield { n, word: `row content ${n}` };
    if (deed === "yield a bad row") yield { n: slice.to, word: 7 };
    if (deed === "hang") await new Promise(() => undefined);
  }

  override async commit(end: Position): Promise<void> {
    await ask(this.#runtime, { call: "commit offset", to: end.n });
  }
}

export class Numbers extends DataSource {
  override schema(): string {
    return "n bigint NOT NULL, word string";
  }

  override streamReader(): NumbersReader {
    return new NumbersReader(this.runtime);
  }
}

/** An Arrow table whose calls can fail, as the control server decides. */
class Table extends ArrowTable {
  override streamWriter(
    ...args: Parameters<ArrowTable["streamWriter"]>
  ): ReturnType<ArrowTable["streamWriter"]> {
    const writer = super.streamWriter(...args);
    const { runtime } = this;
    const { write, commit, abort } = writer;
    writer.write = async (batches, task) => {
      const message = await write.call(writer, batches, task);
      await ask(runtime, { call: "staged", ...placeOf(task) });
      return message;
    };
    writer.commit = async (messages, batchId, batch) => {
      await ask(runtime, { call: "before commit", ...batchOf(batch) });
      const hint = await commit.call(writer, messages, batchId, batch);
      await ask(runtime, { call: "after commit", ...batchOf(batch) });
      return hint;
    };
    writer.abort = async (messages, batchId, batch) => {
      await ask(runtime, { call: "abort", ...batchOf(batch) });
      await abort.call(writer, messages, batchId, batch);
    };
    return writer;
  }
}

export function batchOf({ incarnation, batchId, attempt }: BatchContext): Omit<Asked, "call"> {
  return { incarnation, batchId, attempt };
}

export function placeOf(task: TaskContext): Omit<Asked, "call"> {
  const { incarnation, batchId, attempt, partitionId, attemptNumber } = task;
  return { incarnation, batchId, attempt, partition: partitionId, attemptNumber };
}

const stream = pipeline(name).readStream.format(Numbers).writeStream.format(Table);

/** One of the deployed pipelines keeps its bad rows. In the others they abort the batch. */
export default name === "relayed" ? stream.onBadRow("quarantine") : stream;
