import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type RecordBatch, type Schema, tableFromIPC } from "apache-arrow";
import { openStore } from "../local/home.ts";
import { type Environment, pythonOf, setUpEnvironment } from "../scripts/setup-python.ts";
import { toRecordBatches } from "../shared/arrow/record-batches.ts";
import { parseDdl } from "../shared/contract/ddl/parse.ts";
import type { Row } from "../shared/contract/stream-reader.ts";
import { sqliteCatalog } from "../test/iceberg/support/catalog-address.ts";
import { expireSnapshots, metadataLocation } from "../test/iceberg/support/own-table.ts";
import { PythonProcess } from "../test/iceberg/support/python-process.ts";
import { storeAround } from "../test/iceberg/support/store-around.ts";
import { IcebergStream } from "../test/iceberg/support/stream.ts";

/**
 * `npm run bench:iceberg [-- --rows N --batch-rows N --rounds N --commits N]`: rows and record
 * batches to an Iceberg table, beside dlt, pyiceberg, pyarrow and DuckDB. The ways take turns in
 * one run, and all outputs must be equal. Then many commits of one file: time and bytes of a
 * commit.
 */

const { values: flags } = parseArgs({
  options: {
    rows: { type: "string", default: "200000" },
    "batch-rows": { type: "string", default: "5000000" },
    rounds: { type: "string", default: "3" },
    commits: { type: "string", default: "10000" },
    "expire-every": { type: "string", default: "100" },
  },
});
const ROWS = Number(flags.rows);
const BATCH_ROWS = Number(flags["batch-rows"]);
const ROUNDS = Number(flags.rounds);
const COMMITS = Number(flags.commits);
const EXPIRE_EVERY = Number(flags["expire-every"]);
const START_MS = 1_767_225_600_000;
/** Snapshots that each expiry keeps. */
const KEPT = 100;

const ENVIRONMENT: Environment = {
  folder: fileURLToPath(new URL("../.cache/bench", import.meta.url)),
  packages: [
    "dlt[filesystem,pyiceberg]==1.31.0",
    "pyiceberg[pyarrow,sql-sqlite,pyiceberg-core]==0.12.0",
    "pyarrow==26.0.1",
    "duckdb==1.5.5",
    "duckdb-extensions==1.5.5",
    "duckdb-extension-avro==1.5.5",
    "duckdb-extension-httpfs==1.5.5",
    "duckdb-extension-iceberg==1.5.5",
    "pytz==2026.6",
  ],
};
const SCHEMA = parseDdl("id bigint, time timestamp, mag double, place string, felt int");

function* objects(): Generator<Row> {
  for (let i = 0; i < ROWS; i++) {
    yield {
      id: i,
      time: new Date(START_MS + i * 1000),
      mag: (i % 1000) / 100,
      place: `${i % 997} km N of station ${i % 89}`,
      felt: i % 4 === 0 ? null : i % 500,
    };
  }
}

/** How long a way took, and where its rows are. */
interface Written {
  readonly seconds: number;
  readonly path: string;
}

interface Way {
  readonly name: string;
  readonly rows: number;
  readonly write: (round: number) => Promise<Written>;
  readonly rounds: Written[];
}

/** Writes one batch in one task and commits it. All files are synced. */
async function writeIceberg(
  warehouse: string,
  name: string,
  schema: Schema,
  batches: AsyncIterable<RecordBatch>,
): Promise<Written> {
  const options = { table: `bench.${name}`, catalog: sqliteCatalog(warehouse).millrace };
  const stream = new IcebergStream(options);
  const begin = performance.now();
  const recorded = await stream.plan(schema);
  const messages = await stream.stage(recorded, schema, [batches], { batchId: 0 });
  await stream.commit(recorded, schema, messages, { batchId: 0 });
  const seconds = (performance.now() - begin) / 1000;
  return { seconds, path: await metadataLocation(options) };
}

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;

async function compare(folder: string, python: PythonProcess): Promise<void> {
  await python.ask({ do: "prepare" });
  const ways = (data: string, rows: number, write: Way["write"], others: Record<string, string>): Way[] => [
    { name: "**Millrace**", rows, rounds: [], write },
    ...Object.entries(others).map(
      ([way, name]): Way => ({
        name,
        rows,
        rounds: [],
        write: (round) => python.ask<Written>({ do: "write", way, data, round }),
      }),
    ),
  ];
  const ofRows = ways(
    "rows",
    ROWS,
    (round) => writeIceberg(folder, `rows${round}`, SCHEMA, toRecordBatches(SCHEMA, objects(), {})),
    {
      dlt: "dlt, dicts, no sync",
      pyiceberg: "pyiceberg append, dicts through pyarrow, no sync",
      pyarrow: "pyarrow, dicts, Parquet without a table, synced",
    },
  );
  await measure("rows (objects)", ofRows, python);
  for (const data of ["unique", "repeating"]) {
    const { schema, batches } = tableFromIPC(readFileSync(join(folder, `${data}.arrow`)));
    const write: Way["write"] = (round) => writeIceberg(folder, `${data}${round}`, schema, arriving(batches));
    const ofBatches = ways(data, BATCH_ROWS, write, {
      duckdb: "DuckDB COPY, one thread, Parquet without a table, synced",
      pyiceberg: "pyiceberg append, no sync",
      pyarrow: "pyarrow, Parquet without a table, synced",
    });
    await measure(`rows in record batches, ${data} values`, ofBatches, python);
  }
}

async function measure(what: string, ways: readonly Way[], python: PythonProcess): Promise<void> {
  await takeTurns(ways);
  await checkEqual(ways, python);
  report(what, ways);
}

async function* arriving(batches: readonly RecordBatch[]): AsyncGenerator<RecordBatch> {
  yield* batches;
}

async function takeTurns(ways: readonly Way[]): Promise<void> {
  for (let round = 0; round <= ROUNDS; round++) {
    const turn = round % ways.length;
    for (const { write, rounds } of [...ways.slice(turn), ...ways.slice(0, turn)]) {
      const written = await write(round);
      // Round 0 only warms up.
      if (round > 0) rounds.push(written);
    }
    process.stderr.write(round === 0 ? "warm," : ` ${round}`);
  }
  process.stderr.write("\n");
}

async function checkEqual(ways: readonly Way[], python: PythonProcess): Promise<void> {
  const found = new Set<string>();
  for (const { rounds } of ways)
    found.add(JSON.stringify(await python.ask({ do: "summary", path: rounds.at(-1)?.path })));
  if (found.size !== 1) throw new Error(`the outputs differ: ${[...found].join(" ")}`);
}

function report(what: string, ways: readonly Way[]): void {
  const [own] = ways;
  if (own === undefined) return;
  const secondsOf = ({ rounds }: Way) => rounds.map(({ seconds }) => seconds);
  console.log(
    `\n${own.rows.toLocaleString("en-US")} ${what}, zstd, ${ROUNDS} rounds in turn. Millrace syncs all files.`,
  );
  console.log(
    `Node ${process.version} on ${cpus().length} × ${cpus()[0]?.model}; DuckDB finds equal rows in all outputs.\n`,
  );
  console.log("| way | rows/s, median | slowest to fastest | Millrace is … times as fast |");
  console.log("| --- | ---: | ---: | ---: |");
  const perSecond = (rows: number, seconds: number) => Math.round(rows / seconds).toLocaleString("en-US");
  for (const way of ways) {
    const seconds = secondsOf(way);
    const ratio = (median(seconds) / median(secondsOf(own))).toFixed(2);
    const range = `${perSecond(way.rows, Math.max(...seconds))} to ${perSecond(way.rows, Math.min(...seconds))}`;
    console.log(`| ${way.name} | ${perSecond(way.rows, median(seconds))} | ${range} | ${ratio} |`);
  }
}

/** Commits one file with one row, many times. */
async function commits(folder: string): Promise<void> {
  let bytes = 0;
  const counted = (location: string) =>
    storeAround(
      openStore(location),
      async (_key, body) => await body(),
      (key, size) => {
        if (!key.endsWith(".parquet")) bytes += size;
      },
    );
  const options = { table: "bench.commits", catalog: sqliteCatalog(folder).millrace };
  const stream = new IcebergStream(options, { runtime: { openStore: counted } });
  const schema = parseDdl("id bigint");
  const part = Math.max(1, Math.floor(COMMITS / 10));
  console.log(
    `\n${COMMITS.toLocaleString("en-US")} commits of one file; every ${EXPIRE_EVERY} commits all snapshots but ${KEPT} expire.\n`,
  );
  console.log("| commits | ms a commit, median | slowest | KB of metadata a commit | s of expiry |");
  console.log("| --- | ---: | ---: | ---: | ---: |");
  let expiry = 0;
  let taken: number[] = [];
  for (let batchId = 0; batchId < COMMITS; batchId++) {
    const recorded = await stream.plan(schema);
    const [one] = await Array.fromAsync(toRecordBatches(schema, [{ id: batchId }], {}));
    const messages = await stream.stage(recorded, schema, one === undefined ? [] : [[one]], { batchId });
    const begin = performance.now();
    await stream.commit(recorded, schema, messages, { batchId });
    taken.push(performance.now() - begin);
    if ((batchId + 1) % EXPIRE_EVERY === 0) {
      const before = performance.now();
      await expireSnapshots(options, KEPT);
      expiry += (performance.now() - before) / 1000;
    }
    if ((batchId + 1) % part !== 0) continue;
    const kilobytes = (bytes / 1024 / taken.length).toFixed(1);
    console.log(
      `| ${batchId + 2 - part} to ${batchId + 1} | ${median(taken).toFixed(1)} | ${Math.max(...taken).toFixed(0)} | ${kilobytes} | ${expiry.toFixed(1)} |`,
    );
    [taken, bytes, expiry] = [[], 0, 0];
  }
}

if (!setUpEnvironment(ENVIRONMENT)) throw new Error("the Python packages could not be installed: see above");
const folder = mkdtempSync(join(tmpdir(), "millrace-bench-"));
const script = new URL("iceberg.py", import.meta.url);
const python = new PythonProcess(pythonOf(ENVIRONMENT), script, [folder, String(ROWS), String(BATCH_ROWS)]);
try {
  if (ROUNDS > 0) await compare(folder, python);
  if (COMMITS > 0) await commits(folder);
} finally {
  await python.stop();
  rmSync(folder, { recursive: true, force: true });
}
