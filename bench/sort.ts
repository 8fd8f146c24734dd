import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Data, RecordBatch, Struct } from "apache-arrow";
import { sortBatches } from "../shared/arrow/sort-batches.ts";
import { parseDdl } from "../shared/contract/ddl/parse.ts";
import { asc } from "../shared/contract/write/distribution.ts";
import { DirectoryScratch } from "../shared/platform/embedded/directory-scratch.ts";

/**
 * `npm run bench:sort`: sorts a partition of 20 million rows with runs in a temporary folder, and
 * prints the time and the memory: the greatest resident set of the whole process (`VmHWM` of Linux
 * counts all of it: code, JavaScript's heap and the buffers outside of it), and how much of it came
 * with the sort. The rows are made while they are read, in record batches of 8192. The order of the
 * result is checked on its way.
 */

const { values: flags } = parseArgs({
  options: {
    rows: { type: "string", default: "20000000" },
    memory: { type: "string", default: "128" },
    by: { type: "string", default: "id" },
  },
});
const ROWS = Number(flags.rows);
const MIB = 1024 * 1024;
const BATCH = 8192;
const schema = parseDdl("id bigint, time timestamp, v double, s string, n int");

/** An odd number and a power of two have no divisor in common, so no id comes twice. */
const STEP = 0x9e3779b1;
const MODULUS = 2 ** 25;

function batchAt(start: number, count: number): RecordBatch {
  const ids = new BigInt64Array(count);
  const words = new Int32Array(ids.buffer);
  const times = new BigInt64Array(count);
  const timeWords = new Int32Array(times.buffer);
  const values = new Float64Array(count);
  const numbers = new Int32Array(count);
  const offsets = new Int32Array(count + 1);
  const bytes = Buffer.alloc(count * 20);
  for (let i = 0; i < count; i++) {
    const id = (Math.imul(start + i, STEP) >>> 0) % MODULUS;
    words[2 * i] = id;
    timeWords[2 * i] = Math.imul(id, 1000);
    timeWords[2 * i + 1] = 0x5f000;
    values[i] = id / 7;
    numbers[i] = id % 1000;
    bytes.write(String(id).padStart(20, "abcdefghijklmnopqrst"), i * 20, "latin1");
    offsets[i + 1] = (i + 1) * 20;
  }
  const { fields } = schema;
  const buffers = [{ 1: ids }, { 1: times }, { 1: values }, { 0: offsets, 1: bytes }, { 1: numbers }];
  const columns = fields.map(({ type }, i) => new Data(type, 0, count, 0, buffers[i] as never));
  return new RecordBatch(schema, new Data(new Struct(fields), 0, count, 0, undefined, columns));
}

async function* rows(): AsyncGenerator<RecordBatch> {
  for (let at = 0; at < ROWS; at += BATCH) yield batchAt(at, Math.min(BATCH, ROWS - at));
}

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "millrace-bench-sort-"));
  const baseline = process.resourceUsage().maxRSS / 1024;
  const begin = performance.now();
  const cpu = process.cpuUsage();
  const options = {
    memoryBytes: Number(flags.memory) * MIB,
    scratch: new DirectoryScratch(folder),
    signal: new AbortController().signal,
    where: {},
  };
  let [found, batches] = [0, 0];
  let firstOut = 0;
  let last = -1;
  for await (const batch of sortBatches(rows(), schema, [asc(flags.by)], options)) {
    if (batches++ === 0) firstOut = performance.now();
    found += batch.numRows;
    if (flags.by !== "id") continue;
    const words = new Int32Array((batch.data.children[0] as Data).values.slice().buffer);
    for (let i = 0; i < batch.numRows; i++) {
      const id = words[2 * i] as number;
      if (id <= last) throw new Error(`id ${id} comes after ${last}`);
      last = id;
    }
  }
  const end = performance.now();
  const { user, system } = process.cpuUsage(cpu);
  rmSync(folder, { recursive: true, force: true });
  if (found !== ROWS) throw new Error(`${found} rows came out`);
  const most = process.resourceUsage().maxRSS / 1024;
  const seconds = (from: number, to: number) => ((to - from) / 1000).toFixed(1);
  console.log(`${ROWS} rows by ${flags.by}, ${flags.memory} MiB for rows, in ${batches} record batches`);
  console.log(
    `${seconds(begin, end)} s: ${seconds(begin, firstOut)} s for the runs, ${seconds(firstOut, end)} s to merge them; ${((user + system) / 1e6).toFixed(1)} s of processor time (${(system / 1e6).toFixed(1)} s in the kernel)`,
  );
  console.log(
    `greatest resident set ${most.toFixed(0)} MiB, ${(most - baseline).toFixed(0)} MiB of it since the sort began`,
  );
}

await main();
