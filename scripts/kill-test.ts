import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { startFeed } from "../examples/earthquakes/feed.ts";
import { EARTHQUAKES, killTree, millrace, startMillrace } from "../test/support/process.ts";
import { summarize } from "../test/support/python.ts";
import { namedFiles, stagedFiles } from "../test/support/table.ts";
import { setUpPython } from "./setup-python.ts";

/**
 * `npm run test:kill [-- KILLS]`: kills the demo at random moments, each time in a new home, and
 * then runs it to the end. Prints a line for each kill.
 */

if (!setUpPython()) process.exit(1);
const kills = Number(process.argv[2] ?? 40);
const feed = await startFeed({ latency: 5 });
const env = { EARTHQUAKES_URL: feed.url };
let failed = 0;

const startedAt = Date.now();
const clean = mkdtempSync(join(tmpdir(), "millrace-kill-"));
await millrace(["run", EARTHQUAKES, "--home", clean], env);
rmSync(clean, { recursive: true });
/**
 * Milliseconds that a whole run takes. The kills happen in its last three quarters, because the
 * first quarter has no batches.
 */
const whole = Date.now() - startedAt;

for (let kill = 0; kill < kills; kill++) {
  const home = mkdtempSync(join(tmpdir(), "millrace-kill-"));
  const moment = Math.round(whole * (0.25 + 0.75 * Math.random()));
  const running = startMillrace(["run", EARTHQUAKES, "--home", home], env);
  await setTimeout(moment);
  killTree(running.process);
  const batches = (await running.ended).stderr.match(/committed/g)?.length ?? 0;
  const { code } = await millrace(["run", EARTHQUAKES, "--home", home], env);
  await millrace(["vacuum", "--older-than", "0s", "--home", home], env);
  const table = join(home, "earthquakes/table");
  const { rows, ids } = summarize(table);
  const left = stagedFiles(table).length - namedFiles(table).length;
  const isRight = code === 0 && rows === 1707 && ids === 1707 && left === 0;
  if (!isRight) failed++;
  console.log(
    `${isRight ? "✓" : "✗"} killed after ${moment} ms, ${batches} batches: ${rows} rows, ${ids} ids, ${left} files left over`,
  );
  if (isRight) rmSync(home, { recursive: true });
}
await feed.close();
console.log(`${kills - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
