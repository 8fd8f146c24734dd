import { parseArgs } from "node:util";
import { conform, recordingsIn, table } from "../test/oracle/conformance.ts";
import type { Result } from "../test/oracle/result.ts";

/**
 * `npm run test:oracle [-- --dir DIR]`: replays the recorded calls of a real Spark with the engine
 * and compares the calls of both. Exits with 1 if a recording differs.
 */

const { values } = parseArgs({ options: { dir: { type: "string", default: "../shared/oracle" } } });
const results: Result[] = [];
for (const path of recordingsIn(values.dir)) {
  const result = await conform(path);
  results.push(result);
  console.error(`${result.scenario}: ${result.verdict}`);
}
const count = (verdict: Result["verdict"]) => results.filter((result) => result.verdict === verdict).length;
console.log(table(results));
console.log(
  `\n${count("same")} same, ${count("differs")} differ, ${count("not built")} not built, ${count("out of scope")} out of scope, ${count("no trace")} without a trace`,
);
process.exitCode = count("differs") === 0 ? 0 : 1;
