import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { startFeed } from "./feed.ts";

/**
 * `npm start` serves the feed, runs the pipeline against it with the `millrace` command, and shows
 * the first rows of the table. With `--iceberg` the table is one of Iceberg, and the commands are
 * shown with which other programs read it.
 */

const isIceberg = process.argv.includes("--iceberg");
const command = fileURLToPath(new URL("../../bin/millrace.mjs", import.meta.url));
const file = isIceberg ? "iceberg.pipeline.ts" : "pipeline.ts";
const pipeline = fileURLToPath(new URL(file, import.meta.url));
const name = isIceberg ? "earthquakes-iceberg" : "earthquakes";
const flags = process.argv.slice(2).filter((flag) => flag !== "--iceberg");

/** Runs `millrace …` with the feed's URL in its environment. Returns the exit code. */
async function millrace(args: readonly string[], url: string): Promise<number> {
  const child = spawn(process.execPath, [command, ...args], {
    stdio: "inherit",
    env: { ...process.env, EARTHQUAKES_URL: url },
  });
  // Forwards signals to the run, which stops cleanly, and waits for it.
  const forward = (signal: NodeJS.Signals) => child.kill(signal);
  process.on("SIGINT", forward).on("SIGTERM", forward);
  const code = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (status) => resolve(status ?? 1));
  });
  process.off("SIGINT", forward).off("SIGTERM", forward);
  return code;
}

/** The commands that read the Iceberg table, to be copied into a shell. */
function readers(home: readonly string[]): string {
  const path = ["npx millrace table path demo.earthquakes", ...home.map(quoted)].join(" ");
  const sql = "SELECT place, mag FROM iceberg_scan('$FILE') ORDER BY mag DESC LIMIT 5";
  const catalog = `sqlite:///${resolve(home[1] ?? ".millrace")}/warehouse/catalog.db`;
  const python = [
    "from pyiceberg.catalog import load_catalog",
    `catalog = load_catalog("millrace", type="sql", uri=${JSON.stringify(catalog)})`,
    'print(catalog.load_table("demo.earthquakes").scan().to_arrow())',
  ];
  return `
the table demo.earthquakes in other programs:

# DuckDB: https://duckdb.org/install
FILE=$(${path})
duckdb -c "INSTALL iceberg; LOAD iceberg; ${sql}"

# pyiceberg: python3 -m pip install "pyiceberg[pyarrow,sql-sqlite]"
python3 -c ${quoted(python.join("; "))}
`;
}

/** Quotes a word for a shell. */
function quoted(word: string): string {
  return /^[\w./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

const feed = await startFeed({ latency: 5 });
const home = flags.includes("--home") ? ["--home", flags[flags.indexOf("--home") + 1] ?? ".millrace"] : [];
try {
  process.exitCode = await millrace(["run", pipeline, ...flags], feed.url);
  if (process.exitCode === 0 && !flags.includes("--json")) {
    console.log(`\nwhat landed, its first rows (all of them: npx millrace cat ${name}):\n`);
    await millrace(["cat", name, "--limit", "5", ...home], feed.url);
    await millrace(["status", name, ...home], feed.url);
    if (isIceberg) console.log(readers(home));
  }
} finally {
  await feed.close();
}
