import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { Data, RecordBatch, Struct } from "apache-arrow";
import { SPARK_PYTHON, setUpSpark } from "../scripts/setup-iceberg.ts";
import { parseDdl } from "../shared/contract/ddl/parse.ts";
import { reference } from "../shared/contract/write/predicates.ts";
import { readShuffled } from "../shared/engine/shuffle/read.ts";
import { planShuffled } from "../shared/engine/shuffle/segments.ts";
import type { ShuffledPartition, ShuffleOutput, ShuffleSpec } from "../shared/engine/shuffle/spec.ts";
import { splitRows } from "../shared/engine/shuffle/split.ts";
import { DirectoryStore } from "../shared/platform/embedded/directory-store.ts";

/**
 * `npm run bench:shuffle`: sends 10 million rows through a shuffle by hash with 50 partitions, and
 * beside it the same rows through PySpark's `repartition(50, "p")` into the sink `noop`
 * (bench/shuffle.py). Both make the rows themselves, with two threads or `local[2]`, write them to
 * files, and read all partitions back. The two sides take turns in one run; the first turn of each
 * does not count. The start of the JVM and of the threads does not count either.
 */

const MIB = 1024 * 1024;
const BATCH = 8192;
const MEMORY_BYTES = 128 * MIB;
const THREADS = 2;
const schema = parseDdl("id bigint, p int, v double, time timestamp, s string");

/** What a thread is asked to do. It answers with a `ShuffleOutput` or a number of rows. */
type Work =
  | {
      readonly kind: "split";
      readonly folder: string;
      readonly task: number;
      readonly from: number;
      readonly to: number;
      readonly buckets: number;
    }
  | { readonly kind: "read"; readonly folder: string; readonly partitions: readonly ShuffledPartition[] };

const specOf = (buckets: number): ShuffleSpec => ({
  kind: "hash",
  expressions: [reference("p")],
  buckets,
  isFixed: true,
  targetBytes: 0,
  maySplit: false,
});

const STATIONS = Array.from({ length: 1000 }, (_, i) => Buffer.from(`station ${i}`));
const START_US = 1_767_225_600_000_000;

function batchAt(start: number, count: number): RecordBatch {
  const [ids, times] = [new Int32Array(2 * count), new Int32Array(2 * count)];
  const [keys, values] = [new Int32Array(count), new Float64Array(count)];
  const offsets = new Int32Array(count + 1);
  const bytes = new Uint8Array(count * 11);
  for (let i = 0, end = 0; i < count; i++) {
    const id = start + i;
    ids[2 * i] = id;
    keys[i] = (id * 7919) % 10_007;
    values[i] = id / 7;
    const micros = START_US + id * 137;
    times[2 * i] = micros % 2 ** 32;
    times[2 * i + 1] = micros / 2 ** 32;
    const text = STATIONS[id % 1000] as Buffer;
    for (let at = 0; at < text.length; at++) bytes[end++] = text[at] as number;
    offsets[i + 1] = end;
  }
  const { fields } = schema;
  const buffers = [
    { 1: new BigInt64Array(ids.buffer) },
    { 1: keys },
    { 1: values },
    { 1: new BigInt64Array(times.buffer) },
    { 0: offsets, 1: bytes.subarray(0, offsets[count]) },
  ];
  const columns = fields.map(({ type }, i) => new Data(type, 0, count, 0, buffers[i] as never));
  return new RecordBatch(schema, new Data(new Struct(fields), 0, count, 0, undefined, columns));
}

async function* rows(from: number, to: number): AsyncGenerator<RecordBatch> {
  for (let at = from; at < to; at += BATCH) yield batchAt(at, Math.min(BATCH, to - at));
}

async function work(request: Work): Promise<ShuffleOutput | number> {
  const store = new DirectoryStore(request.folder);
  const options = { signal: new AbortController().signal, where: {} };
  if (request.kind === "split") {
    const { task, from, to, buckets } = request;
    const own = { store, key: `task-${task}`, memoryBytes: MEMORY_BYTES, task, ...options };
    return await splitRows(rows(from, to), schema, specOf(buckets), own);
  }
  let found = 0;
  for (const partition of request.partitions)
    for await (const batch of readShuffled(store, schema, partition, options)) found += batch.numRows;
  return found;
}

/** Serves one thread. */
function serve(): void {
  parentPort?.on("message", (request: Work) => {
    work(request).then(
      (answer) => parentPort?.postMessage({ answer }),
      (error: unknown) => parentPort?.postMessage({ error: String(error) }),
    );
  });
}

async function ask<T>(thread: Worker, request: Work): Promise<T> {
  thread.postMessage(request);
  const [{ answer, error }] = (await once(thread, "message")) as [{ answer: T; error?: string }];
  if (error !== undefined) throw new Error(error);
  return answer;
}

interface Round {
  readonly split: number;
  readonly read: number;
  readonly cpu: number;
  readonly bytes: number;
}

async function millrace(threads: readonly Worker[], count: number, buckets: number): Promise<Round> {
  const folder = mkdtempSync(join(tmpdir(), "millrace-bench-shuffle-"));
  try {
    const begin = performance.now();
    const cpu = process.cpuUsage();
    const share = Math.ceil(count / THREADS);
    const outputs = await Promise.all(
      threads.map((thread, task) =>
        ask<ShuffleOutput>(thread, {
          kind: "split",
          folder,
          task,
          from: task * share,
          to: Math.min(count, (task + 1) * share),
          buckets,
        }),
      ),
    );
    const middle = performance.now();
    const plan = planShuffled(specOf(buckets), outputs);
    const found = await Promise.all(
      threads.map((thread, i) =>
        ask<number>(thread, { kind: "read", folder, partitions: plan.filter((_, at) => at % THREADS === i) }),
      ),
    );
    const end = performance.now();
    const { user, system } = process.cpuUsage(cpu);
    if (found.reduce((a, b) => a + b) !== count) throw new Error(`${found} rows came out`);
    const bytes = outputs.reduce((sum, output) => sum + output.bytes, 0);
    return { split: (middle - begin) / 1000, read: (end - middle) / 1000, cpu: (user + system) / 1e6, bytes };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Spark {
  /** Returns the seconds, and those of processor time. */
  round(rows: number): Promise<readonly [seconds: number, cpu: number]>;
  stop(): void;
}

async function startSpark(buckets: number): Promise<Spark | undefined> {
  if (!setUpSpark()) return undefined;
  const folder = mkdtempSync(join(tmpdir(), "millrace-bench-spark-"));
  const script = fileURLToPath(new URL("shuffle.py", import.meta.url));
  const child = spawn(SPARK_PYTHON, [script, String(buckets), folder], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  console.log(`PySpark is ${String((await lines.next()).value)}`);
  return {
    async round(count) {
      child.stdin.write(`${count}\n`);
      const [seconds = Number.NaN, cpu = Number.NaN] = String((await lines.next()).value)
        .split(" ")
        .map(Number);
      return [seconds, cpu];
    },
    stop() {
      child.stdin.end();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

async function main(): Promise<void> {
  const { values: flags } = parseArgs({
    options: {
      rows: { type: "string", default: "10000000" },
      partitions: { type: "string", default: "50" },
      rounds: { type: "string", default: "5" },
      spark: { type: "boolean", default: true },
    },
    allowNegative: true,
  });
  const [count, buckets, rounds] = [flags.rows, flags.partitions, flags.rounds].map(Number) as [
    number,
    number,
    number,
  ];
  const threads = Array.from(
    { length: THREADS },
    () => new Worker(fileURLToPath(import.meta.url), { workerData: "serve" }),
  );
  const spark = flags.spark ? await startSpark(buckets) : undefined;
  const [own, others]: [number[], number[]] = [[], []];
  const [ownCpu, otherCpu]: [number[], number[]] = [[], []];
  for (let round = 0; round <= rounds; round++) {
    const taken = await millrace(threads, count, buckets);
    const [seconds = Number.NaN, cpu = Number.NaN] = (await spark?.round(count)) ?? [];
    const total = taken.split + taken.read;
    const parts = `${taken.split.toFixed(2)} s to split, ${taken.read.toFixed(2)} s to read ${(taken.bytes / MIB).toFixed(0)} MiB`;
    console.log(
      `round ${round}: Millrace ${total.toFixed(2)} s (${parts}), ${taken.cpu.toFixed(1)} s of processor time`,
    );
    console.log(`         PySpark ${seconds.toFixed(2)} s, ${cpu.toFixed(1)} s of processor time`);
    if (round === 0) continue;
    own.push(total);
    ownCpu.push(taken.cpu);
    others.push(seconds);
    otherCpu.push(cpu);
  }
  spark?.stop();
  await Promise.all(threads.map((thread) => thread.terminate()));
  const line = (name: string, times: readonly number[], cpu: readonly number[]) =>
    `${name} ${median(times).toFixed(2)} s (${Math.min(...times).toFixed(2)} to ${Math.max(...times).toFixed(2)}), ${median(cpu).toFixed(1)} s of processor time`;
  console.log(`${count} rows, ${buckets} partitions, ${cpus().length} cores, Node ${process.version}`);
  console.log(`median of ${rounds}: ${line("Millrace", own, ownCpu)}; ${line("PySpark", others, otherCpu)}`);
  console.log(`Millrace is ${(median(others) / median(own)).toFixed(2)} times as fast`);
}

if (isMainThread) await main();
else if (workerData === "serve") serve();
