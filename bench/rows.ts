import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { PYTHON, setUpPython } from "../scripts/setup-python.ts";
import { encodeFile } from "../shared/arrow/ipc-file.ts";
import { toRecordBatches } from "../shared/arrow/record-batches.ts";
import { parseDdl } from "../shared/contract/ddl/parse.ts";
import { typeName } from "../shared/contract/ddl/print.ts";
import type { Row, RowSource } from "../shared/contract/stream-reader.ts";

/**
 * `npm run bench:rows`: measures rows per second from a reader's generator to an Arrow IPC file. It
 * compares Millrace with PySpark's use of tuples (bench/rows.py). The generator is part of the time
 * on both sides. The two sides take turns, and all files must contain equal data.
 */

const { values: flags } = parseArgs({
  options: {
    rows: { type: "string", default: "1000000" },
    rounds: { type: "string", default: "7" },
  },
});
const ROWS = Number(flags.rows);
const ROUNDS = Number(flags.rounds);
const START_MS = 1_767_225_600_000;
const schema = parseDdl("id bigint NOT NULL, time timestamp, mag double, place string, felt int");

const objectOf = (i: number): Row => ({
  id: i,
  time: new Date(START_MS + i * 137),
  mag: (i % 1000) / 100,
  place: `${i % 997} km N of station ${i % 89}`,
  felt: i % 4 === 0 ? null : i % 500,
});

const arrayOf = (i: number): Row => [
  i,
  new Date(START_MS + i * 137),
  (i % 1000) / 100,
  `${i % 997} km N of station ${i % 89}`,
  i % 4 === 0 ? null : i % 500,
];

function* objects(): Generator<Row> {
  for (let i = 0; i < ROWS; i++) yield objectOf(i);
}

function* arrays(): Generator<Row> {
  for (let i = 0; i < ROWS; i++) yield arrayOf(i);
}

async function* objectsAsync(): AsyncGenerator<Row> {
  for (let i = 0; i < ROWS; i++) yield objectOf(i);
}

async function* arraysAsync(): AsyncGenerator<Row> {
  for (let i = 0; i < ROWS; i++) yield arrayOf(i);
}

/** Seconds of a round: the elapsed time, and the processor time of all threads together. */
interface Taken {
  readonly seconds: number;
  readonly cpu: number;
}

async function write(path: string, rows: RowSource): Promise<Taken> {
  const begin = performance.now();
  const cpu = process.cpuUsage();
  const file = openSync(path, "w");
  for await (const chunk of encodeFile(schema, toRecordBatches(schema, rows, {}))) writeSync(file, chunk);
  closeSync(file);
  const { user, system } = process.cpuUsage(cpu);
  return { seconds: (performance.now() - begin) / 1000, cpu: (user + system) / 1e6 };
}

/** The Python process. It stays warm between its rounds, as this process does. */
class Python {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor() {
    const script = fileURLToPath(new URL("rows.py", import.meta.url));
    this.#process = spawn(PYTHON, [script], { stdio: ["pipe", "pipe", "inherit"] });
    if (this.#process.stdout === null) throw new Error("Python has no output");
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
  }

  async ask<T>(command: object): Promise<T> {
    this.#process.stdin?.write(`${JSON.stringify(command)}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("Python ended: its error is above");
    return JSON.parse(value as string) as T;
  }

  async end(): Promise<void> {
    this.#process.stdin?.end();
    await once(this.#process, "exit");
  }
}

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
const perSecond = (seconds: number): string => Math.round(ROWS / seconds).toLocaleString("en-US");

if (!setUpPython()) process.exit(1);
const folder = mkdtempSync(join(tmpdir(), "millrace-bench-"));
const python = new Python();
const ways = [
  {
    name: "pyarrow, tuples as PySpark takes them",
    run: (path: string) => python.ask<Taken>({ write: path, rows: ROWS }),
  },
  { name: "objects", run: (path: string) => write(path, objects()) },
  { name: "arrays", run: (path: string) => write(path, arrays()) },
  { name: "objects, async generator", run: (path: string) => write(path, objectsAsync()) },
  { name: "arrays, async generator", run: (path: string) => write(path, arraysAsync()) },
].map((way, i) => ({ ...way, path: join(folder, `${i}.arrow`), rounds: [] as Taken[] }));

try {
  for (let round = 0; round <= ROUNDS; round++) {
    // The sides take turns in beginning a round.
    const turn = round % ways.length;
    for (const { run, path, rounds } of [...ways.slice(turn), ...ways.slice(0, turn)]) {
      const taken = await run(path);
      // Round 0 only warms up, so its time is not used.
      if (round > 0) rounds.push(taken);
    }
    process.stderr.write(round === 0 ? "warm," : ` ${round}`);
  }
  process.stderr.write("\n");
  const { rows } = await python.ask<{ rows: number }>({ compare: ways.map(({ path }) => path) });
  if (rows !== ROWS) throw new Error(`the files hold ${rows} rows instead of ${ROWS}`);
  report();
} finally {
  await python.end();
  rmSync(folder, { recursive: true, force: true });
}

function report(): void {
  const names = schema.fields.map((field) => `${field.name} ${typeName(field.type)}`).join(", ");
  console.log(`\n${ROWS.toLocaleString("en-US")} rows of (${names}), ${ROUNDS} rounds in turn,`);
  console.log(
    `Node ${process.version} on ${cpus().length} × ${cpus()[0]?.model}; pyarrow finds equal data in all files.\n`,
  );
  console.log("| rows from | rows/s, median | slowest to fastest | times pyarrow | by processor time |");
  console.log("| --- | ---: | ---: | ---: | ---: |");
  const base = ways[0]?.rounds ?? [];
  for (const { name, rounds } of ways) {
    const seconds = rounds.map((taken) => taken.seconds);
    const times = (of: (taken: Taken) => number) =>
      (median(base.map((taken) => of(taken))) / median(rounds.map((taken) => of(taken)))).toFixed(1);
    console.log(
      `| ${name} | ${perSecond(median(seconds))} | ${perSecond(Math.max(...seconds))} to ${perSecond(Math.min(...seconds))} ` +
        `| ${times((taken) => taken.seconds)} | ${times((taken) => taken.cpu)} |`,
    );
  }
}
