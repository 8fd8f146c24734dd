import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { startFeed } from "./feed.ts";

/**
 * `npm start` serves the feed, runs the pipeline against it with the `millrace` command, and shows
 * the first rows of the table.
 */

const command = fileURLToPath(new URL("../../bin/millrace.mjs", import.meta.url));
const pipeline = fileURLToPath(new URL("pipeline.ts", import.meta.url));
const flags = process.argv.slice(2);

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

const feed = await startFeed({ latency: 5 });
const home = flags.includes("--home") ? ["--home", flags[flags.indexOf("--home") + 1] ?? ".millrace"] : [];
try {
  process.exitCode = await millrace(["run", pipeline, ...flags], feed.url);
  if (process.exitCode === 0 && !flags.includes("--json")) {
    console.log("\nwhat landed, its first rows (all of them: npx millrace cat earthquakes):\n");
    await millrace(["cat", "earthquakes", "--limit", "5", ...home], feed.url);
    await millrace(["status", "earthquakes", ...home], feed.url);
  }
} finally {
  await feed.close();
}
