import { appendFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Home } from "../../local/home.ts";
import { loadPipeline } from "../../local/load-pipeline.ts";
import { run } from "../../local/runner.ts";
import { causeOf, MillraceError } from "../../shared/contract/errors.ts";
import { readJob } from "./job.ts";

/** The process of one run: the embedded runner as `millrace run` starts it, with two threads as Spark's `local[2]`. */

const job = readJob();
const entry = fileURLToPath(new URL("numbers.pipeline.ts", import.meta.url));
const stopping = new AbortController();
const left: { idle?: number; batch?: number } = { ...job.until };
let exception: string | null = null;

try {
  await run({
    pipeline: await loadPipeline(entry),
    entry,
    home: new Home(job.home),
    trigger: job.trigger,
    maxConcurrency: 2,
    maxAttempts: job.maxAttempts,
    signal: stopping.signal,
    onEvent: ({ type }) => {
      if (type !== "idle" && type !== "batch") return;
      const count = (left[type] ?? Number.POSITIVE_INFINITY) - 1;
      left[type] = count;
      if (count === 0) stopping.abort();
    },
  });
} catch (error) {
  const cause = MillraceError.is(error) ? causeOf(error) : undefined;
  exception = `${String(error)}\n${cause ?? ""}`;
}
const ended = { call: "== driver: query ended", args: { exception } };
appendFileSync(job.trace, `${JSON.stringify(ended)}\n`);
